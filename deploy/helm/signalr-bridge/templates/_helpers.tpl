{{/* Names, labels, and what several templates ask. */}}

{{- define "signalr-bridge.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "signalr-bridge.fullname" -}}
{{- $name := include "signalr-bridge.name" . }}
{{- if .Values.fullnameOverride }}{{ .Values.fullnameOverride }}
{{- else if contains $name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "signalr-bridge.selector" -}}
app.kubernetes.io/name: {{ include "signalr-bridge.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "signalr-bridge.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "signalr-bridge.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "signalr-bridge.image" -}}
{{- with .Values.image }}
{{- if .digest }}{{ .repository }}@{{ .digest }}
{{- else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end }}
{{- end }}
{{- end }}

{{- define "signalr-bridge.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ .Values.serviceAccount.name | default (include "signalr-bridge.fullname" .) }}
{{- else }}{{ .Values.serviceAccount.name | default "default" }}
{{- end }}
{{- end }}

{{/* The Secrets that the bridge reads, as a list. Without any named one, one of the release's name is expected. */}}
{{- define "signalr-bridge.secrets" -}}
{{- $names := list }}
{{- if .Values.secrets.existing }}{{ $names = append $names (dict "name" .Values.secrets.existing "optional" .Values.secrets.optional) }}{{ end }}
{{- if .Values.secrets.values }}{{ $names = append $names (dict "name" (include "signalr-bridge.fullname" .) "optional" false) }}{{ end }}
{{- if not $names }}{{ $names = append $names (dict "name" (include "signalr-bridge.fullname" .) "optional" .Values.secrets.optional) }}{{ end }}
{{- toJson $names }}
{{- end }}

{{/* host:port of a further listener. */}}
{{- define "signalr-bridge.listen" -}}
{{- if contains ":" .host }}[{{ .host }}]:{{ .port }}{{ else }}{{ .host }}:{{ .port }}{{ end }}
{{- end }}

{{/* A value of a setting as text. Numbers are floats here, and large ones would be written with an exponent. */}}
{{- define "signalr-bridge.text" -}}
{{- if or (kindIs "slice" .) (kindIs "map" .) }}{{ toJson . }}
{{- else if and (kindIs "float64" .) (eq . (floor .)) }}{{ printf "%.0f" . }}
{{- else }}{{ . }}
{{- end }}
{{- end }}

{{/* What the chart itself sets, by name, as a map. */}}
{{- define "signalr-bridge.ownSettings" -}}
{{- $own := dict
  "BRIDGE_HOST" .Values.listenAddress
  "BRIDGE_PORT" (toString .Values.port)
  "BRIDGE_LIMITS__DRAIN_SECONDS" (toString .Values.stop.drainSeconds)
  "BRIDGE_LIMITS__GRACE_SECONDS" (toString .Values.stop.graceSeconds) }}
{{- if .Values.callers.ownListener }}
{{- $_ := set $own "BRIDGE_CALLERS__LISTEN" (include "signalr-bridge.listen" (dict "host" .Values.listenAddress "port" .Values.callers.port)) }}
{{- end }}
{{- if .Values.metrics.enabled }}
{{- $_ := set $own "BRIDGE_METRICS" "true" }}
{{- $_ := set $own "BRIDGE_METRICS_LISTEN" (include "signalr-bridge.listen" (dict "host" .Values.listenAddress "port" .Values.metrics.port)) }}
{{- end }}
{{- if or (eq .Values.secrets.as "files") .Values.secrets.sources }}{{ $_ := set $own "BRIDGE_SECRETS_DIR" "/etc/signalr-bridge/secrets" }}{{ end }}
{{- if .Values.settingsFile }}{{ $_ := set $own "BRIDGE_SETTINGS_FILE" "/etc/signalr-bridge/settings/bridge.toml" }}{{ end }}
{{- toJson $own }}
{{- end }}

{{/* Where Ingress and HTTPRoute lead, as a list of {path, pathType}. */}}
{{- define "signalr-bridge.paths" -}}
{{- $paths := list }}
{{- range .Values.exposed.hubs }}{{ $paths = append $paths (dict "path" (printf "/hubs/%s/negotiate" .) "pathType" "Exact") }}{{ end }}
{{- if .Values.exposed.defaultHub }}{{ $paths = append $paths (dict "path" "/api/negotiate" "pathType" "Exact") }}{{ end }}
{{- if .Values.exposed.upstream }}{{ $paths = append $paths (dict "path" "/upstream" "pathType" "Exact") }}{{ end }}
{{- if .Values.exposed.functionsUpstream }}{{ $paths = append $paths (dict "path" "/runtime/webhooks/signalr" "pathType" "Exact") }}{{ end }}
{{- range .Values.exposed.paths }}{{ $paths = append $paths (dict "path" .path "pathType" (.pathType | default "Exact")) }}{{ end }}
{{- if not $paths }}{{ fail "exposed: nothing is let through: name hubs, upstream or paths, or disable ingress and httpRoute." }}{{ end }}
{{- toJson $paths }}
{{- end }}
