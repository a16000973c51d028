// The bridge as a Container App: identity, secrets, probes, scaling.
import { endpoint, secretTexts } from 'types.bicep'

@description('Name of the Container App.')
param name string
@description('Region of the Container App.')
param location string
@description('Resource id of the Container Apps environment.')
param environmentId string
@description('Image of the bridge.')
param image string
@description('Registry that the identity may pull from. Empty for a public image.')
param registryServer string = ''
@description('Resource id of the bridge\'s user-assigned identity.')
param identityId string
@description('Client id of that identity.')
param identityClientId string
@description('The instances, by name, host name and type.')
param endpoints endpoint[]
@description('Secret in the upstream address, keys of callers as BRIDGE_CALLERS__KEYS takes them, and keys that verify the signatures of events. What is empty is left out.')
@secure()
param secrets secretTexts
@description('Hubs that clients may negotiate for.')
param hubs string[]
@description('Origins whose pages may negotiate.')
param origins string[] = []
@description('Audience of the token that the instances send with their events. Empty: signatures and code only.')
param upstreamAudience string = ''
@description('Client ids of the identities with which the instances call.')
param upstreamAppIds string[] = []
@description('Further plain settings, by name.')
param settings object = {}
@description('CPU cores of a replica: 0.25, 0.5, 1 or 2.')
@allowed(['0.25', '0.5', '1', '2'])
param cores string = '0.5'
@description('The fewest replicas.')
@minValue(1)
param minReplicas int = 2
@description('The most replicas.')
param maxReplicas int = 10
@description('Requests in flight for each replica, over which another one starts.')
param concurrentRequests int = 100
@description('Percent of its CPU that a replica uses on average, over which another one starts.')
param corePercent int = 70
@description('Tags of the resources.')
param tags object = {}

// The platform takes two GiB of memory with each core, and nothing else.
var memory = { '0.25': '0.5Gi', '0.5': '1Gi', '1': '2Gi', '2': '4Gi' }
var endpointSettings = flatten(map(endpoints, one => [
  { name: 'Azure__SignalR__Endpoints__${one.name}__serviceUri', value: 'https://${one.hostName}' }
  { name: 'Azure__SignalR__Endpoints__${one.name}__type', value: one.type }
  { name: 'Azure__SignalR__Endpoints__${one.name}__credential', value: 'managedidentity' }
  { name: 'Azure__SignalR__Endpoints__${one.name}__clientId', value: identityClientId }
]))
var furtherSettings = map(items(settings), one => { name: one.key, value: string(one.value) })
var commonSettings = [
  { name: 'BRIDGE_NEGOTIATE__HUBS', value: join(hubs, ',') }
  { name: 'BRIDGE_CORS__ORIGINS', value: join(origins, ',') }
]
var entraSettings = [
  { name: 'BRIDGE_UPSTREAM__ENTRA__TENANT', value: tenant().tenantId }
  { name: 'BRIDGE_UPSTREAM__ENTRA__AUDIENCE', value: upstreamAudience }
  { name: 'BRIDGE_UPSTREAM__ENTRA__APP_IDS', value: string(upstreamAppIds) }
]
var upstreamKeys = join(filter(secrets.upstreamKeys, one => !empty(one)), ',')
var texts = filter([
  { secret: 'upstream-code', setting: 'BRIDGE_UPSTREAM__CODE', text: secrets.upstreamCode }
  { secret: 'caller-keys', setting: 'BRIDGE_CALLERS__KEYS', text: secrets.callerKeys }
  { secret: 'upstream-keys', setting: 'BRIDGE_UPSTREAM__KEYS', text: upstreamKeys }
], one => !empty(one.text))
var secretSettings = map(texts, one => { name: one.setting, secretRef: one.secret })
var tokenSettings = empty(upstreamAudience) ? [] : entraSettings
var environment = concat(endpointSettings, furtherSettings, commonSettings, secretSettings, tokenSettings)

resource app 'Microsoft.App/containerApps@2025-01-01' = {
  name: name
  location: location
  tags: tags
  identity: { type: 'UserAssigned', userAssignedIdentities: { '${identityId}': {} } }
  properties: {
    environmentId: environmentId
    configuration: {
      activeRevisionsMode: 'Single'
      ingress: { external: true, targetPort: 8080, transport: 'auto', allowInsecure: false }
      registries: empty(registryServer) ? [] : [{ server: registryServer, identity: identityId }]
      secrets: map(texts, one => { name: one.secret, value: one.text })
    }
    template: {
      terminationGracePeriodSeconds: 40
      containers: [
        {
          name: 'bridge'
          image: image
          resources: { cpu: json(cores), memory: memory[cores] }
          env: environment
          probes: [
            { type: 'Startup', httpGet: { path: '/health/live', port: 8080 }, periodSeconds: 1, failureThreshold: 30 }
            { type: 'Liveness', httpGet: { path: '/health/live', port: 8080 }, periodSeconds: 10 }
            { type: 'Readiness', httpGet: { path: '/health/ready', port: 8080 }, periodSeconds: 2, failureThreshold: 2 }
          ]
        }
      ]
      scale: {
        minReplicas: minReplicas
        maxReplicas: maxReplicas
        rules: [
          { name: 'http', http: { metadata: { concurrentRequests: string(concurrentRequests) } } }
          { name: 'cpu', custom: { type: 'cpu', metadata: { type: 'Utilization', value: string(corePercent) } } }
        ]
      }
    }
  }
}

@description('The bridge\'s address.')
output url string = 'https://${app.properties.configuration.ingress.fqdn}'
