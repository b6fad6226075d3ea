{{- define "sundog.labels" -}}
app.kubernetes.io/name: sundog
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "sundog.selector" -}}
app.kubernetes.io/name: sundog
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end }}

{{- define "sundog.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* What a pod must be for the pod security standard "restricted". */}}
{{- define "sundog.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "sundog.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* Where the services are: secrets as files, the rest as variables. */}}
{{- define "sundog.env" -}}
- name: SUNDOG_BROKER_FILE
  value: /run/sundog/broker
- name: SUNDOG_REDIS_FILE
  value: /run/sundog/redis
- name: SUNDOG_TOKENS
  value: /run/sundog/tokens.toml
- name: SUNDOG_STORE
  value: {{ .Values.store.url | quote }}
{{- with .Values.store.endpoint }}
- name: SUNDOG_S3_ENDPOINT
  value: {{ . | quote }}
{{- end }}
{{- with .Values.store.publicEndpoint }}
- name: SUNDOG_S3_PUBLIC_ENDPOINT
  value: {{ . | quote }}
{{- end }}
{{- with .Values.store.region }}
- name: AWS_REGION
  value: {{ . | quote }}
{{- end }}
{{- if .Values.store.keys }}
- name: AWS_ACCESS_KEY_ID_FILE
  value: /run/sundog/access-key
- name: AWS_SECRET_ACCESS_KEY_FILE
  value: /run/sundog/secret-key
{{- end }}
{{- range $name, $value := .Values.env }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{- define "sundog.secretVolume" -}}
- name: secrets
  secret:
    secretName: {{ .Values.secret }}
    # Readable by the group of the pod; services refuse a file of tokens that others may write.
    defaultMode: 0440
{{- end }}
