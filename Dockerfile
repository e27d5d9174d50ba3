# Everything of ours that runs in a container; a target each. The base suits the official image and
# the stand-in of deploy/offline alike: python3 is Debian's or the image's own, never assumed at a path.
ARG PYTHON_IMAGE=python:3.13.9-slim-trixie
FROM ${PYTHON_IMAGE} AS python
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore

# Third-party packages from the hashed lock; this layer changes only when the lock does.
FROM python AS dependencies
COPY requirements/services.lock /build/services.lock
RUN --mount=type=cache,target=/root/.cache/pip \
    python3 -m venv /opt/heimnetz && \
    /opt/heimnetz/bin/pip install --quiet --require-hashes --requirement /build/services.lock && \
    /opt/heimnetz/bin/python -m compileall -q /opt/heimnetz/lib

# The services, migrate, init and certs: one image, a command each.
FROM python AS platform
COPY --from=dependencies /opt/heimnetz /opt/heimnetz
COPY deploy/init/src/ libs/common/src/ libs/manifest/src/ libs/audit/src/ libs/docs/src/ /opt/heimnetz/src/
COPY services/*/src/ /opt/heimnetz/src/
# The platform's own documentation, which docs-gen serves.
COPY docs/ /usr/share/heimnetz/docs/
# The first-party plugins, which the registry publishes.
COPY plugins/ /usr/share/heimnetz/plugins/
# Whatever the umask of the checkout, every service's user can read it.
# A path file instead of PYTHONPATH: `python -I`, which audits packages, reads no environment.
RUN chmod -R a+rX /opt/heimnetz/src /usr/share/heimnetz && /opt/heimnetz/bin/python -m compileall -q /opt/heimnetz/src && \
    echo /opt/heimnetz/src >"$(/opt/heimnetz/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/heimnetz.pth"
# uvloop looks names up in its threads; four would be held up by two names that do not answer.
ENV PATH=/opt/heimnetz/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    UV_THREADPOOL_SIZE=16
WORKDIR /
USER 65534:65534
ENTRYPOINT ["python", "-m"]

# h11 alone, with the version and hashes that the services' lock gives it.
FROM python AS h11
COPY requirements/services.lock /build/services.lock
RUN --mount=type=cache,target=/root/.cache/pip \
    awk '/^h11==/ { wanted = 1 } wanted { print; if (!/\\$/) exit }' /build/services.lock > /build/h11.lock && \
    python3 -m venv /build/venv && \
    /build/venv/bin/pip install --quiet --require-hashes --target /opt/heimnetz/src --requirement /build/h11.lock

# The only container that reaches the engine has as little in it as can be.
FROM python AS engine-proxy
COPY --from=h11 /opt/heimnetz/src /opt/heimnetz/src
COPY services/engine-proxy/src/ /opt/heimnetz/src/
ENV PYTHONPATH=/opt/heimnetz/src
RUN chmod -R a+rX /opt/heimnetz/src && python3 -m compileall -q /opt/heimnetz/src
WORKDIR /
ENTRYPOINT ["python3", "-m"]
CMD ["heimnetz_engine_proxy"]

# What plugins start from: Python and the runner. Nothing installs, and no file lends rights.
FROM ${PYTHON_IMAGE} AS runtime-python
RUN [ -e /usr/local/bin/python3 ] || ln -s /usr/bin/python3 /usr/local/bin/python3; \
    rm -rf /usr/local/lib/python3*/site-packages/pip* /usr/lib/python3/dist-packages/pip* \
        /usr/local/bin/pip* /usr/bin/pip* /usr/lib/python3*/ensurepip /usr/local/lib/python3*/ensurepip && \
    find / -xdev -perm /6000 -type f -exec chmod a-s {} + && \
    install -d -m 0755 /opt/heimnetz/heimnetz_sdk && \
    install -m 0444 /dev/null /opt/heimnetz/heimnetz_sdk/__init__.py
COPY --chmod=0444 services/sandbox/runtimes/python/runner.py services/sandbox/runtimes/python/working.py \
     services/sandbox/runtimes/python/framing.py services/sandbox/runtimes/python/forwarding.py \
     services/sandbox/runtimes/python/broker.py services/sandbox/runtimes/python/seeing.py \
     services/sandbox/runtimes/python/clearing.py services/sandbox/runtimes/python/tracing.py \
     /opt/heimnetz/
COPY --chmod=0444 libs/sdk/python/src/heimnetz_sdk/plugin.py libs/sdk/python/src/heimnetz_sdk/serving.py \
     /opt/heimnetz/heimnetz_sdk/
# A container has no place to keep bytecode: without this each would make it anew.
RUN python3 -m compileall -q --invalidation-mode unchecked-hash /opt/heimnetz && \
    PYTHONPATH=/opt/heimnetz python3 -c "import runner"
WORKDIR /
USER 65534:65534
CMD ["python3", "--version"]

# The same for Node: Debian's, without npm. The runner starts as a copy that nobody may read, so that
# the kernel keeps the plugin's processes, which have the same user, out of its memory (ptrace(2)).
FROM ${PYTHON_IMAGE} AS runtime-node
RUN --mount=type=cache,target=/var/lib/apt/lists,sharing=locked \
    apt-get -qq update && \
    DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends nodejs >/dev/null && \
    find / -xdev -perm /6000 -type f -exec chmod a-s {} + && \
    install -d -m 0755 /opt/heimnetz && install -m 0111 /usr/bin/node /opt/heimnetz/node
RUN install -d -m 0755 /node_modules/heimnetz-sdk/src
COPY --chmod=0444 services/sandbox/runtimes/node/ /opt/heimnetz/
# Where every plugin and the runner find it by its name.
COPY --chmod=0444 libs/sdk/node/package.json /node_modules/heimnetz-sdk/
COPY --chmod=0444 libs/sdk/node/src/plugin.js libs/sdk/node/src/serving.js /node_modules/heimnetz-sdk/src/
WORKDIR /
USER 65534:65534
CMD ["node", "--version"]

# Fetches a plugin's dependencies: wheels only, by hash, through the broker.
FROM ${PYTHON_IMAGE} AS builder
RUN [ -e /usr/local/bin/python3 ] || ln -s /usr/bin/python3 /usr/local/bin/python3; \
    find / -xdev -perm /6000 -type f -exec chmod a-s {} + && install -d -m 0755 /opt/heimnetz
COPY --chmod=0444 services/sandbox/runtimes/python/builder.py services/sandbox/runtimes/python/forwarding.py \
     /opt/heimnetz/
WORKDIR /
USER 10003:10003
CMD ["python3", "--version"]
