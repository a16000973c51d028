const { app } = require('@azure/functions');
const { readFile } = require('fs/promises');

app.http('index', {
    methods: ['GET'],
    authLevel: 'anonymous',
    handler: async (request, context) => {
        context.log(`Page asked for by ${request.user?.username}`);
        return {
            headers: { 'Content-Type': 'text/html' },
            cookies: [{ name: 'visited', value: 'yes', path: '/', sameSite: 'Lax' }],
            body: await readFile('content/index.html'),
        };
    },
});
