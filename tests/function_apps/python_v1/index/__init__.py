import os

import azure.functions as func


def main(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    page = open(os.path.join(context.function_directory, "..", "content", "index.html"))
    return func.HttpResponse(page.read(), mimetype="text/html")
