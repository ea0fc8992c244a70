// The openstack plugin: the Terraform provider's code behind Pulumi's bridge, under the resource tokens of
// the published Python SDK, so that the SDK works with it unchanged.
//
// "schema FILE" as arguments writes the Pulumi schema and exits; the build embeds that file, which saves
// 0.3 s at each start.
package main

import (
	"embed"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfgen"
	shimv2 "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim/sdk-v2"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag/colors"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	"github.com/terraform-provider-openstack/terraform-provider-openstack/v3/openstack"
)

// The SDK's version: the engine warns when a plugin reports another one.
const version = "5.5.3"

// tokens.json is committed; schema.json is there only in the second step of the build.
//
//go:embed *.json
var files embed.FS

// tokenTable maps Terraform's names to Pulumi's tokens. Deprecated holds a second, older token of a resource.
type tokenTable struct {
	Resources  map[string]string
	Functions  map[string]string
	Deprecated map[string]string
}

func main() {
	info, err := providerInfo()
	if err != nil {
		fail(err)
	}
	if len(os.Args) == 3 && os.Args[1] == "schema" {
		if err := writeSchema(info, os.Args[2]); err != nil {
			fail(err)
		}
		return
	}
	schema, err := files.ReadFile("schema.json")
	if err != nil {
		fail(fmt.Errorf("built without its schema: %w", err))
	}
	tfbridge.Main("openstack", version, info, schema)
}

func providerInfo() (tfbridge.ProviderInfo, error) {
	var table tokenTable
	text, err := files.ReadFile("tokens.json")
	if err != nil {
		return tfbridge.ProviderInfo{}, err
	}
	if err := json.Unmarshal(text, &table); err != nil {
		return tfbridge.ProviderInfo{}, fmt.Errorf("tokens.json: %w", err)
	}
	info := tfbridge.ProviderInfo{
		P:              shimv2.NewProvider(openstack.Provider()),
		Name:           "openstack",
		Version:        version,
		ResourcePrefix: "openstack",
		MetadataInfo:   tfbridge.NewProviderMetadata([]byte("{}")),
		Resources:      map[string]*tfbridge.ResourceInfo{},
		DataSources:    map[string]*tfbridge.DataSourceInfo{},
	}
	for name, token := range table.Resources {
		info.Resources[name] = &tfbridge.ResourceInfo{Tok: tokens.Type(token)}
	}
	for name, token := range table.Functions {
		info.DataSources[name] = &tfbridge.DataSourceInfo{Tok: tokens.ModuleMember(token)}
	}
	for name, older := range table.Deprecated {
		current := info.Resources[name].Tok
		info.RenameResourceWithAlias(name, tokens.Type(older), current, "index", module(current), info.Resources[name])
	}
	// Without this no physical names are made up, and resources that need one fail.
	info.SetAutonaming(255, "-")
	return info, nil
}

// module is the lower-case module of a token such as openstack:bgpvpn/v2:V2.
func module(token tokens.Type) string {
	name, _, _ := strings.Cut(string(token.Module().Name()), "/")
	return name
}

func writeSchema(info tfbridge.ProviderInfo, path string) error {
	sink := diag.DefaultSink(os.Stderr, os.Stderr, diag.FormatOptions{Color: colors.Never})
	schema, err := tfgen.GenerateSchema(info, sink)
	if err != nil {
		return err
	}
	text, err := json.Marshal(schema)
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "pulumi-resource-openstack:", err)
	os.Exit(1)
}
