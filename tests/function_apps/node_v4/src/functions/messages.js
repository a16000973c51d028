const { app, input, output } = require('@azure/functions');

const hub = { hubName: '%CHAT_HUB%', connectionStringSetting: 'AzureSignalRConnectionString' };
const endpoints = input.generic({ type: 'signalREndpoints', name: 'endpoints', ...hub });
const messages = output.generic({ type: 'signalR', name: 'messages', ...hub });
const groups = output.generic({ type: 'signalR', name: 'groups', ...hub });

app.http('messages', {
    methods: ['POST'],
    authLevel: 'anonymous',
    extraInputs: [endpoints],
    extraOutputs: [messages],
    handler: async (request, context) => {
        const { text, groupName } = await request.json();
        const online = context.extraInputs.get(endpoints).filter((endpoint) => endpoint.online);
        context.extraOutputs.set(messages, {
            target: 'newMessage',
            arguments: [{ sender: request.query.get('sender'), text }],
            groupName,
            endpoints: online,
        });
        return { status: 202, jsonBody: { endpoints: online.length } };
    },
});

app.http('groups', {
    methods: ['PUT', 'DELETE'],
    authLevel: 'anonymous',
    route: 'groups/{group}/users/{user}',
    extraOutputs: [groups],
    handler: (request, context) => {
        const { group, user } = request.params;
        const action = request.method === 'PUT' ? 'add' : 'remove';
        context.extraOutputs.set(groups, { userId: user, groupName: group, action });
        return { status: 204 };
    },
});
