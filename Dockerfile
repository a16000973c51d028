# Targets: production (the default), emulator, dev, sbom. docs/images.md says what each is for.
#
# The base of all of them, and the only place that names it; `make image-pin` adds the digest. Any image with Python 3.11
# or newer, its venv module and CA certificates will do.
ARG BASE_IMAGE=python:3.13.15-slim-trixie

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
    && /opt/build/bin/pip install --no-compile --require-hashes --only-binary :all: \
        -r deploy/build-requirements.txt \
    && python3 -m venv --without-pip /opt/signalr-bridge \
    && /opt/build/bin/pip --python /opt/signalr-bridge/bin/python install --no-compile --require-hashes \
        --only-binary :all: -r deploy/requirements.txt
COPY LICENSE README.md pyproject.toml ./
COPY app app
# What `init` writes: app/signalr_bridge/templates has links to these.
COPY deploy/examples deploy/examples
# What `import` loads a JavaScript app with: app/signalr_bridge/functions has a link to it.
COPY deploy/functions-node deploy/functions-node
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
    && /opt/build/bin/pip --python /opt/signalr-bridge/bin/python install --no-compile --no-deps dist/*.whl
COPY deploy/image deploy/image
# Debug symbols go, licences and a list of versions come, and modules are compiled once and for all: nobody can write to
# the root later. Two lines more say which folder a derived image puts packages into, and that they come last.
RUN cd deploy/image \
    && /opt/signalr-bridge/bin/python strip.py /opt/signalr-bridge \
    && /opt/signalr-bridge/bin/python licenses.py /opt/signalr-bridge/licenses \
    && /opt/build/bin/pip --python /opt/signalr-bridge/bin/python freeze --exclude signalr-bridge \
        > /opt/signalr-bridge/constraints.txt \
    && echo /srv/packages > "$(echo /opt/signalr-bridge/lib/python3.*/site-packages)/packages.pth" \
    && /opt/signalr-bridge/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash -x pygments/lexers \
        /opt/signalr-bridge/lib

# What production has no use for goes, once it is built.
FROM build AS product
RUN /opt/signalr-bridge/bin/python deploy/image/product.py

# What is in the image, as CycloneDX (make image-sbom).
FROM build AS inventory
RUN python3 -m venv /opt/inventory \
    && /opt/build/bin/pip --python /opt/inventory/bin/python install --no-compile --require-hashes --only-binary :all: \
        -r deploy/sbom-requirements.txt \
    && /opt/inventory/bin/cyclonedx-py environment --output-format JSON --output-reproducible \
        /opt/signalr-bridge/bin/python \
    | /opt/signalr-bridge/bin/python deploy/image/sbom.py > /signalr-bridge.cdx.json

FROM scratch AS sbom
COPY --from=inventory /signalr-bridge.cdx.json /

# What all images share.
FROM ${BASE_IMAGE} AS runtime
ARG BASE_IMAGE
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="signalr-bridge" \
    org.opencontainers.image.description="The Azure Functions SignalR Service bindings, for any backend" \
    org.opencontainers.image.licenses="MIT" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}" \
    org.opencontainers.image.base.name="${BASE_IMAGE}"
ENV PATH=/opt/signalr-bridge/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# A number, so that Kubernetes can see that it is not root (runAsNonRoot).
USER 10001:10001
# Python imports from here first. It is the place for handlers (COPY my_chat.py .), and the user cannot write to it.
WORKDIR /srv
ENTRYPOINT ["signalr-bridge"]

FROM runtime AS dev
COPY --from=build /opt/signalr-bridge /opt/signalr-bridge
CMD ["dev"]

FROM dev AS emulator
LABEL org.opencontainers.image.title="signalr-bridge-emulator" \
    org.opencontainers.image.description="An emulated Azure SignalR Service in serverless mode, for development and tests"
EXPOSE 8888
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["python", "-c", "from http.client import HTTPConnection as C; c = C('127.0.0.1', 8888, timeout=2); c.request('GET', '/api/health'); raise SystemExit(c.getresponse().status != 200)"]
CMD ["emulator", "--host", "0.0.0.0"]

FROM runtime AS production
COPY --from=product /opt/signalr-bridge /opt/signalr-bridge
EXPOSE 8080
# It takes the port from BRIDGE_PORT. Where a settings file or --port sets it, or the bridge listens
# at BRIDGE_UDS or at no loopback address, the container needs a check of its own.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["python", "-c", "import os; from http.client import HTTPConnection as C; c = C('127.0.0.1', int(os.environ.get('BRIDGE_PORT') or 8080), timeout=2); c.request('GET', '/health/live'); raise SystemExit(c.getresponse().status != 200)"]
CMD ["serve"]
