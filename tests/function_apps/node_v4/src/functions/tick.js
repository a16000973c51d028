const { app, output } = require('@azure/functions');

let count = 0;

const signalR = output.generic({
    type: 'signalR',
    name: 'signalR',
    hubName: '%CHAT_HUB%',
    connectionStringSetting: 'AzureSignalRConnectionString',
});

app.timer('tick', {
    schedule: '*/1 * * * * *',
    extraOutputs: [signalR],
    handler: (timer, context) => {
        count += 1;
        console.log(`tick ${count}, past due: ${timer.isPastDue}`);
        context.extraOutputs.set(signalR, { target: 'tick', arguments: [count] });
    },
});
