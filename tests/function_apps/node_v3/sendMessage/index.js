module.exports = async function (context, invocation) {
    context.log(`${invocation.UserId} sends ${context.bindingData.message}`);
    return [{
        target: 'newMessage',
        arguments: [{ sender: invocation.UserId, text: context.bindingData.message }]
    }];
};
