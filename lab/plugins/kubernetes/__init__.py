"""The lab's own Kubernetes plugin: objects by server-side apply, Helm releases by the real ``helm``."""
