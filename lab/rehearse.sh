#!/usr/bin/env bash
# Stands the gateway up in the running lab (stack dev) and says what stands and where.
set -euo pipefail
cd "$(dirname "$0")/.."
exports=$(.venv/bin/python -m lab env)
eval "$exports"

pulumi stack select dev --create >/dev/null
pulumi up --stack dev --yes --non-interactive || {
    status=$?
    # An update takes its own lock away when it fails: one that is still there is another's.
    if compgen -G ".lab/pulumi/backend/.pulumi/locks/organization/*/dev/*.json" >/dev/null; then
        cat >&2 <<'END'

Another update of the stack dev is at work, or was killed and left its lock. If none is at work:
  eval "$(.venv/bin/python -m lab env)"; pulumi cancel --stack dev --yes; make rehearse
END
    fi
    exit "$status"
}

echo
echo "What stands:"
pulumi stack output --stack dev
echo
kubectl get nodes --label-columns capi.stackhpc.com/node-group
echo
kubectl get pods --all-namespaces --field-selector metadata.namespace!=kube-system --output wide
cat <<'END'

To look around, in this folder:
  eval "$(.venv/bin/python -m lab env)"
  openstack coe cluster list; openstack server list; kubectl get nodes; helm list --all-namespaces
  pulumi preview --stack dev          what a change to Pulumi.dev.yaml would do
  pulumi destroy --stack dev          take the gateway down, keep the lab
  python -m lab down                  stop the lab
END
