# Any image with Python 3.11 or newer, its venv module and CA certificates will do; the two stages must use the same one.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS build
# Arguments of this stage only, so that neither gets into the image. pip trusts what the base image trusts: behind a
# proxy that opens TLS, mount its CA bundle over this file; a mirror is named with --build-arg PIP_INDEX_URL=...
ARG PIP_CERT=/etc/ssl/certs/ca-certificates.crt
ARG PIP_INDEX_URL
ARG PIP_DISABLE_PIP_VERSION_CHECK=1
ARG PIP_NO_CACHE_DIR=1
WORKDIR /src
COPY deploy/*requirements.txt deploy/
# The build tools stay in /opt/build. The program gets a second environment, without pip.
RUN python3 -m venv /opt/build \
    && /opt/build/bin/pip install --require-hashes --only-binary :all: -r deploy/build-requirements.txt \
    && python3 -m venv --without-pip /opt/signalr-bridge \
    && /opt/build/bin/pip --python /opt/signalr-bridge/bin/python install --require-hashes --only-binary :all: \
        -r deploy/requirements.txt
COPY LICENSE README.md pyproject.toml ./
COPY app app
# What `init` writes: app/signalr_bridge/templates has links to these.
COPY deploy/examples deploy/examples
# What `import` loads a JavaScript app with: app/signalr_bridge/functions has a link to it.
COPY deploy/functions-node deploy/functions-node
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
    && /opt/build/bin/pip --python /opt/signalr-bridge/bin/python install --no-deps dist/*.whl

FROM ${BASE_IMAGE}
COPY --from=build /opt/signalr-bridge /opt/signalr-bridge
ENV PATH=/opt/signalr-bridge/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# A number, so that Kubernetes can see that it is not root (runAsNonRoot).
USER 10001:10001
# Python imports from here first. It is the place for handlers (COPY my_chat.py .), and the user cannot write to it.
WORKDIR /srv
EXPOSE 8080
# It takes the port from BRIDGE_PORT. Where a settings file or --port sets it, the container needs a check of its own.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["python", "-c", "import os; from http.client import HTTPConnection as C; c = C('127.0.0.1', int(os.environ.get('BRIDGE_PORT') or 8080), timeout=2); c.request('GET', '/health/live'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["signalr-bridge"]
CMD ["serve"]
