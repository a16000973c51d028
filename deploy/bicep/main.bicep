// The bridge over one or several SignalR instances, with what both need.
targetScope = 'resourceGroup'

import { instance } from 'types.bicep'

@description('Name of the bridge, and the beginning of the names of everything else.')
@minLength(3)
@maxLength(20)
param name string = 'bridge'
@description('Region of everything but the instances.')
param location string = resourceGroup().location
@description('Image of the bridge, such as `contoso.azurecr.io/signalr-bridge:1.0`.')
param image string
@description('Name of an Azure Container Registry in this resource group. Empty for a public image.')
param registryName string = ''
@description('The SignalR instances: `name`, `location`, `type` (Primary or Secondary), and where wanted `sku` (Standard_S1) and `capacity` (1).')
@minLength(1)
param instances instance[] = [{ name: 'primary', location: resourceGroup().location, type: 'Primary' }]
@description('Hubs that clients may negotiate for.')
@minLength(1)
param hubs string[] = ['chat']
@description('Origins whose pages may connect, as `BRIDGE_CORS__ORIGINS` takes them.')
param origins string[] = []
@description('Secret in the upstream address: letters and digits.')
@secure()
@minLength(16)
@metadata({ azd: { type: 'generate', config: { length: 40, noSpecial: true } } })
param upstreamCode string
@description('Keys of callers, as `BRIDGE_CALLERS__KEYS` takes them.')
@secure()
@minLength(16)
@metadata({ azd: { type: 'generate', config: { length: 40, noSpecial: true } } })
param callerKeys string
@description('Application id URI for which the instances send tokens with their events. Empty: they sign, and send the code only.')
param upstreamAudience string = ''
@description('No access keys: Entra alone proves who clients and instances are. It needs `upstreamAudience`.')
param disableLocalAuth bool = false
@description('A Key Vault whose secrets the bridge reads and follows, and that holds the code and the keys of callers.')
param withKeyVault bool = false
@description('An App Configuration store that the bridge reads and follows.')
param withAppConfiguration bool = false
@description('Further plain settings of the bridge, by name, such as `BRIDGE_NEGOTIATE__JWT`.')
param settings object = {}
@description('CPU cores of a replica, with two GiB of memory each.')
@allowed(['0.25', '0.5', '1', '2'])
param cores string = '0.5'
@description('The fewest replicas.')
@minValue(1)
param minReplicas int = 2
@description('The most replicas.')
@minValue(1)
param maxReplicas int = 10
@description('Requests in flight for each replica, over which another one starts.')
@minValue(1)
param concurrentRequests int = 100
@description('Percent of its CPU that a replica uses on average, over which another one starts.')
@minValue(1)
@maxValue(100)
param corePercent int = 70
@description('Tags of all resources.')
param tags object = {}

var unique = uniqueString(resourceGroup().id, name)
var roles = {
  keyVaultSecretsUser: '4633458b-17de-408a-b874-0445c86b69e6'
  appConfigurationDataReader: '516239f1-63e1-4d78-a4de-a74fb236a071'
  acrPull: '7f951dda-4ed3-4680-a7ca-43fe172d538d'
}

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: '${name}-identity'
  location: location
  tags: tags
}

// The instances call the bridge as this identity. Its client id is in their tokens, which that of a system-assigned one is not.
resource instanceIdentity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: '${name}-signalr-identity'
  location: location
  tags: tags
}

resource logs 'Microsoft.OperationalInsights/workspaces@2023-09-01' = {
  name: '${name}-logs-${unique}'
  location: location
  tags: tags
  properties: { sku: { name: 'PerGB2018' }, retentionInDays: 30 }
}

resource environment 'Microsoft.App/managedEnvironments@2025-01-01' = {
  name: '${name}-environment'
  location: location
  tags: tags
  properties: {
    appLogsConfiguration: {
      destination: 'log-analytics'
      logAnalyticsConfiguration: { customerId: logs.properties.customerId, sharedKey: logs.listKeys().primarySharedKey }
    }
    workloadProfiles: [{ name: 'Consumption', workloadProfileType: 'Consumption' }]
  }
}

// The environment's domain makes the address known, so that instances and bridge do not wait for each other.
var bridgeUrl = 'https://${name}.${environment.properties.defaultDomain}'
// Whoever may read an instance reads its upstream address. A reference shows no code there.
var codeReference = withKeyVault ? '{@Microsoft.KeyVault(SecretUri=${vault!.properties.vaultUri}secrets/upstream-code)}' : ''
var codeInUrl = withKeyVault ? codeReference : uriComponent(upstreamCode)
// An instance takes no patterns, which the bridge does.
var allPages = empty(origins) || contains(join(origins, ','), '*')

module signalr 'signalr.bicep' = [
  for one in instances: {
    name: 'signalr-${one.name}'
    params: {
      name: '${name}-${one.name}-${unique}'
      location: one.location
      sku: one.?sku ?? 'Standard_S1'
      capacity: one.?capacity ?? 1
      upstreamUrl: '${bridgeUrl}/upstream?code=${codeInUrl}'
      upstreamAudience: upstreamAudience
      origins: allPages ? ['*'] : origins
      principalId: identity.properties.principalId
      instanceIdentityId: instanceIdentity.id
      disableLocalAuth: disableLocalAuth
      tags: tags
    }
    // The instance resolves the reference, where there is one.
    dependsOn: [mayReadCode]
  }
]

module bridge 'bridge.bicep' = {
  name: 'bridge'
  params: {
    name: name
    location: location
    environmentId: environment.id
    image: image
    registryServer: empty(registryName) ? '' : registry!.properties.loginServer
    identityId: identity.id
    identityClientId: identity.properties.clientId
    endpoints: [for (one, index) in instances: { name: one.name, hostName: signalr[index].outputs.hostName, type: one.type }]
    secrets: {
      upstreamCode: withKeyVault ? '' : upstreamCode
      callerKeys: withKeyVault ? '' : callerKeys
      upstreamKeys: [for (one, index) in instances: signalr[index].outputs.keys]
    }
    hubs: hubs
    origins: origins
    upstreamAudience: upstreamAudience
    upstreamAppIds: [instanceIdentity.properties.clientId]
    settings: union(
      settings,
      { AZURE_CLIENT_ID: identity.properties.clientId },
      withKeyVault ? { BRIDGE_KEY_VAULT_URL: vault!.properties.vaultUri } : {},
      withAppConfiguration ? { BRIDGE_APP_CONFIGURATION_ENDPOINT: configuration!.properties.endpoint } : {}
    )
    cores: cores
    minReplicas: minReplicas
    maxReplicas: maxReplicas
    concurrentRequests: concurrentRequests
    corePercent: corePercent
    tags: tags
  }
  // The first pull and the first reading of a store need these.
  dependsOn: [mayPull, mayReadVault, mayReadConfiguration, acceptedCode, acceptedKeys]
}

resource registry 'Microsoft.ContainerRegistry/registries@2023-07-01' existing = if (!empty(registryName)) {
  name: registryName
}

resource mayPull 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(registryName)) {
  name: guid(registry.id, identity.id, roles.acrPull)
  scope: registry
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.acrPull)
  }
}

resource vault 'Microsoft.KeyVault/vaults@2023-07-01' = if (withKeyVault) {
  name: take('${name}-${unique}', 24)
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    sku: { family: 'A', name: 'standard' }
    enableRbacAuthorization: true
    enableSoftDelete: true
  }
}

resource mayReadVault 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (withKeyVault) {
  name: guid(vault.id, identity.id, roles.keyVaultSecretsUser)
  scope: vault
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.keyVaultSecretsUser)
  }
}

// What the instances send. The bridge may accept several codes, so this is a secret of its own.
resource sentCode 'Microsoft.KeyVault/vaults/secrets@2023-07-01' = if (withKeyVault) {
  parent: vault
  name: 'upstream-code'
  properties: { value: upstreamCode }
}

resource acceptedCode 'Microsoft.KeyVault/vaults/secrets@2023-07-01' = if (withKeyVault) {
  parent: vault
  name: 'BRIDGE-UPSTREAM--CODE'
  properties: { value: upstreamCode }
}

resource acceptedKeys 'Microsoft.KeyVault/vaults/secrets@2023-07-01' = if (withKeyVault) {
  parent: vault
  name: 'BRIDGE-CALLERS--KEYS'
  properties: { value: callerKeys }
}

resource mayReadCode 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (withKeyVault) {
  name: guid(sentCode.id, instanceIdentity.id, roles.keyVaultSecretsUser)
  scope: sentCode
  properties: {
    principalId: instanceIdentity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.keyVaultSecretsUser)
  }
}

resource configuration 'Microsoft.AppConfiguration/configurationStores@2024-05-01' = if (withAppConfiguration) {
  name: '${name}-${unique}'
  location: location
  tags: tags
  sku: { name: 'standard' }
  properties: { disableLocalAuth: true }
}

resource mayReadConfiguration 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (withAppConfiguration) {
  name: guid(configuration.id, identity.id, roles.appConfigurationDataReader)
  scope: configuration
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.appConfigurationDataReader)
  }
}

@description('The bridge\'s address.')
output url string = bridge.outputs.url
@description('Where clients of the first hub negotiate.')
output negotiateUrl string = '${bridge.outputs.url}/hubs/${hubs[0]}/negotiate'
@description('The Key Vault, where there is one.')
output keyVaultUrl string = withKeyVault ? vault!.properties.vaultUri : ''
