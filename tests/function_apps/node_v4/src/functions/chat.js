const { app, output, trigger } = require('@azure/functions');

const hub = { hubName: '%CHAT_HUB%', connectionStringSetting: 'AzureSignalRConnectionString' };
const signalR = output.generic({ type: 'signalR', name: 'signalR', ...hub });

function on(event, handler, parameterNames) {
    const category = ['connected', 'disconnected'].includes(event) ? 'connections' : 'messages';
    app.generic(event, {
        trigger: trigger.generic({
            type: 'signalRTrigger',
            name: 'invocation',
            ...hub,
            category,
            event,
            ...(parameterNames && { parameterNames }),
        }),
        extraOutputs: [signalR],
        handler,
    });
}

const say = (invocation, text) => ({
    sender: invocation.UserId,
    connectionId: invocation.ConnectionId,
    text,
});

on('connected', (invocation, context) => {
    context.log(`${invocation.ConnectionId} is connected`);
    context.extraOutputs.set(signalR, {
        target: 'newConnection',
        arguments: [{ connectionId: invocation.ConnectionId, text: `${invocation.UserId} ${process.env.CHAT_GREETING}` }],
    });
});

on('disconnected', (invocation, context) => {
    context.log(`${invocation.ConnectionId} is disconnected`);
});

on('broadcast', async (invocation, context) => {
    const { message } = context.triggerMetadata;
    context.extraOutputs.set(signalR, [{ target: 'newMessage', arguments: [say(invocation, message)] }]);
    return { sent: message.length, by: invocation.UserId };
}, ['message']);

on('sendToGroup', (invocation, context) => {
    const [groupName, text] = invocation.Arguments;
    context.extraOutputs.set(signalR, { target: 'newMessage', groupName, arguments: [say(invocation, text)] });
});

on('sendToUser', (invocation, context) => {
    const [userId, text] = invocation.Arguments;
    context.extraOutputs.set(signalR, { target: 'newMessage', userId, arguments: [say(invocation, text)] });
});

on('sendToConnection', (invocation, context) => {
    const [connectionId, text] = invocation.Arguments;
    context.extraOutputs.set(signalR, { target: 'newMessage', connectionId, arguments: [say(invocation, text)] });
});

on('joinGroup', (invocation, context) => {
    const [connectionId, groupName] = invocation.Arguments;
    context.extraOutputs.set(signalR, { connectionId, groupName, action: 'add' });
});

on('leaveGroup', (invocation, context) => {
    const [connectionId, groupName] = invocation.Arguments;
    context.extraOutputs.set(signalR, { connectionId, groupName, action: 'remove' });
});

on('joinUserToGroup', (invocation, context) => {
    const [userId, groupName] = invocation.Arguments;
    context.extraOutputs.set(signalR, { userId, groupName, action: 'add' });
});

on('leaveUserFromGroup', (invocation, context) => {
    const [userId, groupName] = invocation.Arguments;
    context.extraOutputs.set(signalR, { userId, groupName, action: 'remove' });
});

on('fail', () => {
    throw new Error('a secret of the app');
});
