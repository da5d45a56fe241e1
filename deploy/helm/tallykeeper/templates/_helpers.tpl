{{- /* The name of a release may have dots, and the name of a Service must not. */}}
{{- define "tallykeeper.name" -}}
{{- default .Chart.Name .Values.nameOverride | replace "." "-" | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "tallykeeper.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | replace "." "-" | trunc 52 | trimSuffix "-" }}
{{- else if contains (include "tallykeeper.name" .) .Release.Name }}
{{- .Release.Name | replace "." "-" | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "tallykeeper.name" .) | replace "." "-" | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "tallykeeper.selectorLabels" -}}
app.kubernetes.io/name: {{ include "tallykeeper.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "tallykeeper.labels" -}}
{{ include "tallykeeper.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "tallykeeper.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{- define "tallykeeper.isEmbedded" -}}
{{- if eq .Values.store.kind "embedded" }}true{{ end }}
{{- end }}

{{- define "tallykeeper.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "tallykeeper.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- /* True if the Service has the HTTP port. /metrics is part of it, so that no default shows it beyond the cluster. */}}
{{- define "tallykeeper.serviceHasHttp" -}}
{{- if or (eq .Values.http.service "always") (and (eq .Values.http.service "cluster") (eq .Values.service.type "ClusterIP")) }}true{{ end }}
{{- end }}

{{- /* Refuse values that the server would refuse at its start, with what to set. */}}
{{- define "tallykeeper.check" -}}
{{- if and (not .Values.tls.secretName) (not .Values.tls.allowPlaintext) }}
{{- fail "tls.secretName is empty: name a secret with a certificate, or set tls.allowPlaintext to true" }}
{{- end }}
{{- if and (not .Values.access.secretName) (not .Values.access.allowAnonymous) }}
{{- fail "access.secretName is empty: name a secret with access.toml, or set access.allowAnonymous to true" }}
{{- end }}
{{- if and .Values.tls.clientCA.secretName (not .Values.tls.secretName) }}
{{- fail "tls.clientCA.secretName needs tls.secretName: only TLS has client certificates" }}
{{- end }}
{{- if and .Values.tls.clientCA.secretName (not .Values.tls.clientCA.probeSecretName) }}
{{- fail "tls.clientCA.probeSecretName is empty: the probes need a client certificate too" }}
{{- end }}
{{- if eq (int .Values.service.port) (int .Values.http.port) }}
{{- fail (printf "service.port and http.port are both %d: choose two ports" (int .Values.http.port)) }}
{{- end }}
{{- if and (eq .Values.store.kind "embedded") (gt (int .Values.replicas) 1) }}
{{- fail (printf "replicas %d needs store.kind external: an embedded store has one server" (int .Values.replicas)) }}
{{- end }}
{{- if and (eq .Values.store.kind "embedded") .Values.autoscaling.enabled }}
{{- fail "autoscaling.enabled needs store.kind external: an embedded store has one server" }}
{{- end }}
{{- if and .Values.autoscaling.enabled (not (dig "requests" "cpu" "" (default dict .Values.resources))) }}
{{- fail "autoscaling.enabled needs resources.requests.cpu: the use of CPU is measured by it" }}
{{- end }}
{{- if gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas) }}
{{- fail (printf "autoscaling.minReplicas %d is more than autoscaling.maxReplicas %d" (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas)) }}
{{- end }}
{{- if and .Values.traces.enabled (not .Values.traces.endpoint) }}
{{- fail "traces.endpoint is empty: name the backend of traces, such as http://collector:4317" }}
{{- end }}
{{- if and (ne (float64 .Values.traces.samplerArgument) 1.0) (not (hasSuffix "traceidratio" .Values.traces.sampler)) }}
{{- fail (printf "traces.samplerArgument %v needs traces.sampler traceidratio or parentbased_traceidratio" .Values.traces.samplerArgument) }}
{{- end }}
{{- if le (int .Values.terminationGracePeriodSeconds) (add (int .Values.preStopSeconds) (ceil (default 10 (get (default dict .Values.settings) "drain_seconds")))) }}
{{- fail "terminationGracePeriodSeconds must be more than preStopSeconds and settings.drain_seconds together" }}
{{- end }}
{{- end }}

{{- define "tallykeeper.tracesEnv" }}
- name: TALLYKEEPER_TRACES
  value: "true"
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ .Values.traces.endpoint | quote }}
{{- with .Values.traces.sampler }}
- name: OTEL_TRACES_SAMPLER
  value: {{ . }}
{{- end }}
{{- if hasSuffix "traceidratio" .Values.traces.sampler }}
- name: OTEL_TRACES_SAMPLER_ARG
  value: {{ .Values.traces.samplerArgument | toString | quote }}
{{- end }}
{{- with .Values.traces.headersSecret }}
{{- if .name }}
- name: OTEL_EXPORTER_OTLP_HEADERS
  valueFrom:
    secretKeyRef:
      name: {{ .name | quote }}
      key: {{ .key | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- define "tallykeeper.env" -}}
- name: TALLYKEEPER_LISTEN
  value: "{{ .Values.listenHost }}:{{ .Values.service.port }}"
- name: TALLYKEEPER_HTTP_LISTEN
  value: "{{ .Values.listenHost }}:{{ .Values.http.port }}"
- name: TALLYKEEPER_WORKERS
  value: {{ .Values.workers | quote }}
{{- if include "tallykeeper.isEmbedded" . }}
- name: TALLYKEEPER_DATA_DIR
  value: /data/tallykeeper
{{- else }}
- name: TALLYKEEPER_STORE
  valueFrom:
    secretKeyRef:
      name: {{ .Values.store.external.urlSecret.name | quote }}
      key: {{ .Values.store.external.urlSecret.key | quote }}
{{- end }}
{{- if .Values.tls.secretName }}
- name: TALLYKEEPER_TLS_CERTIFICATE
  value: /etc/tallykeeper/tls/tls.crt
- name: TALLYKEEPER_TLS_KEY
  value: /etc/tallykeeper/tls/tls.key
{{- else }}
- name: TALLYKEEPER_ALLOW_PLAINTEXT
  value: "true"
{{- end }}
{{- if .Values.tls.clientCA.secretName }}
- name: TALLYKEEPER_TLS_CLIENT_CA
  value: /etc/tallykeeper/client-ca/ca.crt
{{- end }}
{{- if .Values.access.secretName }}
- name: TALLYKEEPER_ACCESS_FILE
  value: /etc/tallykeeper/access/access.toml
{{- else }}
- name: TALLYKEEPER_ALLOW_ANONYMOUS
  value: "true"
{{- end }}
{{- if .Values.traces.enabled }}
{{- include "tallykeeper.tracesEnv" . }}
{{- end }}
{{- range $name, $value := .Values.settings }}
- name: TALLYKEEPER_{{ upper $name }}
  {{- if kindIs "float64" $value }}
  value: {{ if eq (floor $value) $value }}{{ printf "%d" (int64 $value) | quote }}{{ else }}{{ $value | toString | quote }}{{ end }}
  {{- else }}
  value: {{ $value | toString | quote }}
  {{- end }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* Both probes below ask the server whether it serves. The kubelet speaks gRPC in plaintext alone, HTTPS without a look
at the certificate, and has no certificate itself: with a client CA, a command asks. */}}
{{- define "tallykeeper.probe" -}}
{{- if .Values.tls.clientCA.secretName -}}
exec:
  command:
    - tallykeeper
    - health
    - --target={{ .Values.tls.serverName }}:{{ .Values.service.port }}
    - --ca=/etc/tallykeeper/tls/ca.crt
    - --certificate=/etc/tallykeeper/probe/tls.crt
    - --key=/etc/tallykeeper/probe/tls.key
{{- else if .Values.tls.secretName -}}
httpGet:
  path: /readyz
  port: http
  scheme: HTTPS
{{- else -}}
grpc:
  port: {{ .Values.service.port }}
{{- end }}
{{- end }}

{{- /* The command takes a quarter of a second of CPU time, so it asks half as often. */}}
{{- define "tallykeeper.probePeriod" -}}
{{- ternary 10 5 (ne .Values.tls.clientCA.secretName "") }}
{{- end }}

{{- /* A server whose store is away does not get better by a restart, and finds its store again by itself. So this probe asks
whether the process answers at all, and never for its health. */}}
{{- define "tallykeeper.livenessProbe" -}}
{{- if .Values.tls.clientCA.secretName -}}
tcpSocket:
  port: grpc
{{- else -}}
httpGet:
  path: /healthz
  port: http
  scheme: {{ ternary "HTTPS" "HTTP" (ne .Values.tls.secretName "") }}
{{- end }}
{{- end }}

{{- /* The server has no rights, so a port below 1024, such as 443, must be free for everybody in the pod. */}}
{{- define "tallykeeper.podSecurityContext" -}}
{{- $ports := list }}
{{- if lt (min (int .Values.service.port) (int .Values.http.port)) 1024 }}
{{- $ports = list (dict "name" "net.ipv4.ip_unprivileged_port_start" "value" "0") }}
{{- end }}
{{- $asked := deepCopy (default dict .Values.podSecurityContext) }}
{{- with concat $ports (default list $asked.sysctls) }}
{{- $_ := set $asked "sysctls" . }}
{{- end }}
{{- toYaml $asked }}
{{- end }}

{{- define "tallykeeper.pod" -}}
metadata:
  labels:
    {{- include "tallykeeper.labels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "tallykeeper.serviceAccountName" . | quote }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . | quote }}
  {{- end }}
  {{- if and .Values.tls.clientCA.secretName (ne .Values.tls.serverName "localhost") }}
  hostAliases:
    - ip: 127.0.0.1
      hostnames: [{{ .Values.tls.serverName | quote }}]
  {{- end }}
  securityContext:
    {{- include "tallykeeper.podSecurityContext" . | nindent 4 }}
  containers:
    - name: tallykeeper
      image: {{ include "tallykeeper.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [serve]
      env:
        {{- include "tallykeeper.env" . | nindent 8 }}
      ports:
        - name: grpc
          containerPort: {{ .Values.service.port }}
        - name: http
          containerPort: {{ .Values.http.port }}
      startupProbe:
        {{- include "tallykeeper.probe" . | nindent 8 }}
        periodSeconds: {{ include "tallykeeper.probePeriod" . }}
        timeoutSeconds: 5
        failureThreshold: {{ max 1 (ceil (divf .Values.startupSeconds (include "tallykeeper.probePeriod" . | int))) }}
      readinessProbe:
        {{- include "tallykeeper.probe" . | nindent 8 }}
        periodSeconds: {{ include "tallykeeper.probePeriod" . }}
        timeoutSeconds: 5
        failureThreshold: 2
      livenessProbe:
        {{- include "tallykeeper.livenessProbe" . | nindent 8 }}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      {{- if .Values.preStopSeconds }}
      lifecycle:
        preStop:
          exec:
            command: [sleep, {{ .Values.preStopSeconds | quote }}]
      {{- end }}
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
      volumeMounts:
        - name: tmp
          mountPath: /tmp
        {{- if include "tallykeeper.isEmbedded" . }}
        - name: data
          mountPath: /data
        {{- end }}
        {{- if .Values.tls.secretName }}
        - name: tls
          mountPath: /etc/tallykeeper/tls
          readOnly: true
        {{- end }}
        {{- if .Values.tls.clientCA.secretName }}
        - name: client-ca
          mountPath: /etc/tallykeeper/client-ca
          readOnly: true
        - name: probe
          mountPath: /etc/tallykeeper/probe
          readOnly: true
        {{- end }}
        {{- if .Values.access.secretName }}
        - name: access
          mountPath: /etc/tallykeeper/access
          readOnly: true
        {{- end }}
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: tmp
      emptyDir:
        sizeLimit: 64Mi
    {{- if .Values.tls.secretName }}
    - name: tls
      secret:
        secretName: {{ .Values.tls.secretName | quote }}
        defaultMode: 0440
    {{- end }}
    {{- if .Values.tls.clientCA.secretName }}
    - name: client-ca
      secret:
        secretName: {{ .Values.tls.clientCA.secretName | quote }}
        defaultMode: 0440
        items:
          - key: ca.crt
            path: ca.crt
    - name: probe
      secret:
        secretName: {{ .Values.tls.clientCA.probeSecretName | quote }}
        defaultMode: 0440
    {{- end }}
    {{- if .Values.access.secretName }}
    - name: access
      secret:
        secretName: {{ .Values.access.secretName | quote }}
        defaultMode: 0440
        items:
          - key: access.toml
            path: access.toml
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if .Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- toYaml .Values.topologySpreadConstraints | nindent 4 }}
  {{- else if not (include "tallykeeper.isEmbedded" .) }}
  # The loss of a node takes one server of several, where the cluster has room.
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "tallykeeper.selectorLabels" . | nindent 10 }}
  {{- end }}
{{- end }}
