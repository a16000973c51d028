// One Azure SignalR instance in serverless mode, whose events go to the bridge, and the bridge's right to use it.
import { tier } from 'types.bicep'

@description('Name of the instance: globally unique, 3 to 63 letters, digits and hyphens.')
param name string
@description('Region of the instance.')
param location string
@description('Tier of the instance.')
param sku tier = 'Standard_S1'
@description('Units of the instance.')
@minValue(1)
param capacity int = 1
@description('Where the instance sends its events, with the code in the query.')
@secure()
param upstreamUrl string
@description('Audience of the token that the instance sends with its events. Empty: signatures and code only.')
param upstreamAudience string = ''
@description('Origins whose pages may connect to the instance.')
param origins string[] = ['*']
@description('Principal id of the bridge\'s identity, which may use the instance.')
param principalId string
@description('Resource id of the user-assigned identity with which the instance calls the bridge.')
param instanceIdentityId string
@description('No access keys: Entra alone proves who clients and instances are. It needs upstreamAudience.')
param disableLocalAuth bool = false
@description('Tags of the resources.')
param tags object = {}

// SignalR Service Owner: REST, server connections and client tokens, all that serverless mode needs.
var serviceOwner = '7e4f1700-ea5a-4f59-8f37-079cfe29dce3'
var withToken = { type: 'ManagedIdentity', managedIdentity: { resource: upstreamAudience } }

resource instance 'Microsoft.SignalRService/signalR@2024-03-01' = {
  name: name
  location: location
  kind: 'SignalR'
  tags: tags
  sku: { name: sku, capacity: capacity }
  identity: { type: 'UserAssigned', userAssignedIdentities: { '${instanceIdentityId}': {} } }
  properties: {
    disableLocalAuth: disableLocalAuth
    features: [
      { flag: 'ServiceMode', value: 'Serverless', properties: {} }
      { flag: 'EnableConnectivityLogs', value: 'True', properties: {} }
      { flag: 'EnableMessagingLogs', value: 'False', properties: {} }
    ]
    cors: { allowedOrigins: origins }
    serverless: { connectionTimeoutInSeconds: 30 }
    tls: { clientCertEnabled: false }
    upstream: {
      templates: [
        {
          hubPattern: '*'
          categoryPattern: '*'
          eventPattern: '*'
          urlTemplate: upstreamUrl
          auth: empty(upstreamAudience) ? { type: 'None' } : withToken
        }
      ]
    }
  }
}

resource mayUse 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(instance.id, principalId, serviceOwner)
  scope: instance
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', serviceOwner)
  }
}

@description('Host name of the instance.')
output hostName string = instance.properties.hostName
@description('Keys that verify the signatures of events, with a comma between them. Empty without access keys.')
@secure()
output keys string = disableLocalAuth ? '' : '${instance.listKeys().primaryKey},${instance.listKeys().secondaryKey}'
