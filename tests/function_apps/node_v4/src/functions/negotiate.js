const { app, input } = require('@azure/functions');

const connectionInfo = input.generic({
    type: 'signalRConnectionInfo',
    name: 'connectionInfo',
    hubName: '%CHAT_HUB%',
    userId: '{headers.x-ms-client-principal-id}',
    connectionStringSetting: 'AzureSignalRConnectionString',
});

app.post('negotiate', {
    authLevel: 'anonymous',
    route: 'negotiate',
    extraInputs: [connectionInfo],
    handler: (request, context) => {
        return { body: JSON.stringify(context.extraInputs.get(connectionInfo)) };
    },
});
