{{/* What the schema cannot say: values that do not fit each other. Each is refused in one line that says what to do. */}}

{{- define "signalr-bridge.checks" -}}
{{- include "signalr-bridge.checkStop" . }}
{{- include "signalr-bridge.checkPorts" . }}
{{- include "signalr-bridge.checkSettings" . }}
{{- include "signalr-bridge.checkSecrets" . }}
{{- include "signalr-bridge.checkParts" . }}
{{- end }}

{{/* The fewest seconds that a pod needs to stop. */}}
{{- define "signalr-bridge.stopSeconds" -}}
{{- add .Values.stop.drainSeconds .Values.stop.graceSeconds .Values.stop.functionsSeconds }}
{{- end }}

{{- define "signalr-bridge.checkStop" -}}
{{- $needed := include "signalr-bridge.stopSeconds" . | int }}
{{- with .Values.terminationGracePeriodSeconds }}
{{- if lt (int .) $needed }}
{{- fail (printf "terminationGracePeriodSeconds: %d are too few: stop (drainSeconds, graceSeconds, functionsSeconds) takes %d. Write %d or more, or null." (int .) $needed $needed) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "signalr-bridge.checkPorts" -}}
{{- $ports := list (int .Values.port) }}
{{- if .Values.callers.ownListener }}{{ $ports = append $ports (int .Values.callers.port) }}{{ end }}
{{- if .Values.metrics.enabled }}{{ $ports = append $ports (int .Values.metrics.port) }}{{ end }}
{{- if ne (len $ports) (len (uniq $ports)) }}
{{- fail "port, callers.port, metrics.port: two listeners have the same one: give each its own." }}
{{- end }}
{{- end }}

{{- define "signalr-bridge.checkSettings" -}}
{{- $instead := dict
  "BRIDGE_HOST" "listenAddress" "BRIDGE_PORT" "port" "BRIDGE_UDS" "port" "BRIDGE_CALLERS__LISTEN" "callers" "BRIDGE_METRICS" "metrics"
  "BRIDGE_METRICS_LISTEN" "metrics" "BRIDGE_LIMITS__DRAIN_SECONDS" "stop" "BRIDGE_LIMITS__GRACE_SECONDS" "stop" }}
{{- if or (eq .Values.secrets.as "files") .Values.secrets.sources }}{{ $_ := set $instead "BRIDGE_SECRETS_DIR" "secrets" }}{{ end }}
{{- if .Values.settingsFile }}{{ $_ := set $instead "BRIDGE_SETTINGS_FILE" "settingsFile" }}{{ end }}
{{- $names := keys .Values.settings }}
{{- range .Values.extraEnv }}{{ $names = append $names .name }}{{ end }}
{{- range $name := $names }}
{{- with get $instead (upper $name) }}
{{- fail (printf "settings, extraEnv: %s is set by the chart: write the value %s instead." $name .) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "signalr-bridge.checkSecrets" -}}
{{- range $name, $value := .Values.settings }}
{{- if or (include "signalr-bridge.isSecretName" $name) (include "signalr-bridge.isSecretText" (include "signalr-bridge.text" $value)) }}
{{- fail (printf "settings.%s: is a secret: put it into a Secret (secrets.existing, or secrets.values)." $name) }}
{{- end }}
{{- end }}
{{- if include "signalr-bridge.isSecretText" .Values.settingsFile }}
{{- fail "settingsFile: holds a secret, and a ConfigMap is none: put it into a Secret (secrets.existing, or secrets.values)." }}
{{- end }}
{{- end }}

{{- define "signalr-bridge.isSecretName" -}}
{{- if and (ne (upper .) "BRIDGE_ALLOW_EMULATOR_KEY") (regexMatch "(?i)(__|_)(keys?|code|secrets?|clientsecret|password)$" .) }}yes{{ end }}
{{- end }}

{{- define "signalr-bridge.isSecretText" -}}
{{- if regexMatch "(?i)(AccessKey|Secret)\\s*=|whsec_|://[^/\\s]*:[^/\\s]*@|[?&](code|sig)=" . }}yes{{ end }}
{{- end }}

{{- define "signalr-bridge.checkParts" -}}
{{- if and .Values.serviceMonitor.enabled (not .Values.metrics.enabled) }}
{{- fail "serviceMonitor.enabled: there is nothing to read: write metrics.enabled=true, too." }}
{{- end }}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) }}
{{- fail "httpRoute.parentRefs: is empty: name the gateway that the route belongs to." }}
{{- end }}
{{- with .Values.autoscaling }}
{{- if and .enabled (lt (int .maxReplicas) (int .minReplicas)) }}
{{- fail "autoscaling: maxReplicas is less than minReplicas: write more." }}
{{- end }}
{{- if and .enabled (not .cpuUtilization) (not .requests.perSecond) }}
{{- fail "autoscaling: there is nothing to scale by: set cpuUtilization or requests.perSecond." }}
{{- end }}
{{- end }}
{{- if and .Values.workloadIdentity.enabled .Values.serviceAccount.create (not .Values.workloadIdentity.clientId) }}
{{- fail "workloadIdentity.clientId: is missing: write the client id of the managed identity." }}
{{- end }}
{{- end }}
