var fs = require('fs').promises

module.exports = async function (context, req) {
    const path = context.executionContext.functionDirectory + '/../content/index.html'
    try {
        context.res = {
            headers: { 'Content-Type': 'text/html' },
            body: await fs.readFile(path)
        }
        context.done()
    } catch (err) {
        context.log.error(err);
        context.done(err);
    }
}
