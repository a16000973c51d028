// What the parameters of several templates are made of.

@export()
type tier = 'Free_F1' | 'Standard_S1' | 'Premium_P1' | 'Premium_P2'

@export()
type endpointType = 'Primary' | 'Secondary'

// One Azure SignalR instance. Clients go to secondary ones only while no primary one is online.
@export()
type instance = {
  name: string
  location: string
  type: endpointType
  sku: tier?
  capacity: int?
}

// An instance as the bridge is told of it.
@export()
type endpoint = {
  name: string
  hostName: string
  type: endpointType
}

// What the bridge keeps as secrets of its Container App. Empty texts are left out.
@export()
type secretTexts = {
  upstreamCode: string
  callerKeys: string
  upstreamKeys: array
}
