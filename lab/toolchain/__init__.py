"""The lab's tools: Pulumi, its plugins, Kubernetes, etcd, KWOK and Helm, in pinned versions."""
