{{- /* A DaemonSet that pulls the users' images; called with `root`, `component` and `hook`. */ -}}
{{- define "jupyterhub.imagePuller" -}}
{{- $values := .root.Values -}}
apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: {{ .component }}
  labels:
    {{- include "jupyterhub.labels" . | nindent 4 }}
    {{- if .hook }}
    hub.jupyter.org/deletable: "true"
    {{- end }}
  {{- if .hook }}
  annotations:
    helm.sh/hook: pre-install,pre-upgrade
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
    helm.sh/hook-weight: "-10"
  {{- end }}
spec:
  selector:
    matchLabels: {{ include "jupyterhub.selector" . | nindent 6 }}
  updateStrategy: { type: RollingUpdate, rollingUpdate: { maxUnavailable: 100% } }
  template:
    metadata:
      labels: {{ include "jupyterhub.selector" . | nindent 8 }}
    spec:
      {{- /* The hook runs before the priority classes exist. */}}
      {{- if and $values.scheduling.podPriority.enabled (not .hook) }}
      priorityClassName: {{ .root.Release.Name }}-image-puller-priority
      {{- end }}
      {{- include "jupyterhub.userPlacement" .root | nindent 6 }}
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: 0
      initContainers:
        {{- range $index, $image := include "jupyterhub.imagesToPull" .root | fromJsonArray }}
        - name: image-pull-{{ $index }}
          image: {{ $image | quote }}
          command: [/bin/sh, -c, echo Pulled]
          {{- with $values.prePuller.resources }}
          resources: {{ toYaml . | nindent 12 }}
          {{- end }}
        {{- end }}
      containers:
        - name: pause
          image: {{ include "jupyterhub.image" $values.prePuller.pause.image }}
          {{- with $values.prePuller.resources }}
          resources: {{ toYaml . | nindent 12 }}
          {{- end }}
{{- end }}

{{- define "jupyterhub.imagesToPull" -}}
{{- $images := list (include "jupyterhub.image" .Values.singleuser.image) }}
{{- if .Values.prePuller.pullProfileListImages }}
{{- range .Values.singleuser.profileList }}
{{- with (.kubespawner_override | default dict).image }}
{{- $images = append $images . }}
{{- end }}
{{- end }}
{{- end }}
{{- range .Values.prePuller.extraImages }}
{{- $images = append $images (include "jupyterhub.image" .) }}
{{- end }}
{{- $images | uniq | toJson }}
{{- end }}
