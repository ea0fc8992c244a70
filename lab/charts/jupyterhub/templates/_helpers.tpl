{{- /* Labels of every object; called with a dict of `root` and `component`. */ -}}
{{- define "jupyterhub.labels" -}}
{{ include "jupyterhub.selector" . }}
app.kubernetes.io/name: jupyterhub
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
heritage: {{ .root.Release.Service }}
{{- end }}

{{- /* The part of the labels by which pods are found: it can never change. */ -}}
{{- define "jupyterhub.selector" -}}
app: jupyterhub
component: {{ .component }}
release: {{ .root.Release.Name }}
{{- end }}

{{- define "jupyterhub.image" -}}
{{ .name }}:{{ .tag }}
{{- end }}

{{- /* The secrets that a pod pulls its images with. */ -}}
{{- define "jupyterhub.pullSecrets" -}}
{{- $secrets := .Values.imagePullSecrets }}
{{- if .Values.imagePullSecret.create }}
{{- $secrets = prepend $secrets "image-pull-secret" }}
{{- end }}
{{- with $secrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{- /* A preference or a demand for nodes of a purpose; called with `match` and `purpose`. */ -}}
{{- define "jupyterhub.purpose" -}}
{{- if eq .match "prefer" }}
preferredDuringSchedulingIgnoredDuringExecution:
  - weight: 100
    preference:
      matchExpressions:
        - { key: hub.jupyter.org/node-purpose, operator: In, values: [{{ .purpose }}] }
{{- else if eq .match "require" }}
requiredDuringSchedulingIgnoredDuringExecution:
  nodeSelectorTerms:
    - matchExpressions:
        - { key: hub.jupyter.org/node-purpose, operator: In, values: [{{ .purpose }}] }
{{- end }}
{{- end }}

{{- /* Where a core pod runs and what it pulls with; called with `root` and the pod's `own` values. */ -}}
{{- define "jupyterhub.corePlacement" -}}
{{- include "jupyterhub.pullSecrets" .root }}
{{- with .own.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with concat .root.Values.scheduling.corePods.tolerations .own.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with include "jupyterhub.purpose" (dict "match" .root.Values.scheduling.corePods.nodeAffinity.matchNodePurpose "purpose" "core") }}
affinity:
  nodeAffinity: {{ . | nindent 4 }}
{{- end }}
{{- if .root.Values.scheduling.podPriority.enabled }}
priorityClassName: {{ .root.Release.Name }}-default-priority
{{- end }}
{{- end }}

{{- /* Where a user's pod, a placeholder or an image puller runs, and what it pulls with. */ -}}
{{- define "jupyterhub.userPlacement" -}}
{{- include "jupyterhub.pullSecrets" . }}
{{- with .Values.singleuser.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with concat .Values.scheduling.userPods.tolerations .Values.singleuser.extraTolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- $required := .Values.singleuser.extraNodeAffinity.required }}
{{- $purpose := .Values.scheduling.userPods.nodeAffinity.matchNodePurpose }}
{{- if or $required (ne $purpose "ignore") }}
affinity:
  nodeAffinity:
    {{- if $required }}
    requiredDuringSchedulingIgnoredDuringExecution:
      nodeSelectorTerms: {{ toYaml $required | nindent 8 }}
    {{- else }}
    {{- include "jupyterhub.purpose" (dict "match" $purpose "purpose" "user") | nindent 4 }}
    {{- end }}
{{- end }}
{{- end }}

{{- /* The three random secrets: from the values, else kept from the last revision, else new. */ -}}
{{- define "jupyterhub.keptSecret" -}}
{{- $secret := lookup "v1" "Secret" .root.Release.Namespace "hub" | default dict }}
{{- with .own }}
{{- . }}
{{- else }}
{{- with (index ($secret.data | default dict) .key) }}
{{- . | b64dec }}
{{- else }}
{{- randAlphaNum 64 | sha256sum }}
{{- end }}
{{- end }}
{{- end }}

{{- define "jupyterhub.pdb" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ .component }}
  labels: {{ include "jupyterhub.labels" . | nindent 4 }}
spec:
  {{- /* Not `with`: it takes a 0 for nothing. */}}
  {{- if not (kindIs "invalid" .own.maxUnavailable) }}
  maxUnavailable: {{ .own.maxUnavailable }}
  {{- end }}
  {{- if not (kindIs "invalid" .own.minAvailable) }}
  minAvailable: {{ .own.minAvailable }}
  {{- end }}
  selector:
    matchLabels: {{ include "jupyterhub.selector" . | nindent 6 }}
{{- end }}
