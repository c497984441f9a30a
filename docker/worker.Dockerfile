# The workers, the sweep and the trainer. REQUIREMENTS=requirements/gpu.txt brings TensorFlow with CUDA instead.
FROM python:3.11-slim-bookworm AS build
WORKDIR /app
ARG REQUIREMENTS=requirements.txt
COPY requirements.txt ./
COPY requirements requirements
RUN pip install --no-cache-dir --constraint requirements/dev.txt uv \
 && python -m venv .venv \
 && uv pip install --no-cache --python .venv/bin/python --compile-bytecode -r "$REQUIREMENTS"

FROM python:3.11-slim-bookworm
WORKDIR /app
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin cspine \
 && install -d -o cspine -g cspine -m 700 /data/blobs /var/lib/cspine
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 CSPINE_ENV=production CSPINE_VAR=/var/lib/cspine
COPY --from=build /app/.venv .venv
COPY alembic.ini ./
COPY bin bin
COPY migrations migrations
COPY cspine cspine
COPY models models
COPY worker worker
RUN python -m compileall -q cspine models worker migrations
USER cspine
CMD ["bin/cspine", "worker", "--stage", "screen"]
