# The web server and the migrations: no TensorFlow, no network, no worker in it.
FROM python:3.11-slim-bookworm AS build
WORKDIR /app
COPY requirements/web.txt requirements/dev.txt requirements/
RUN pip install --no-cache-dir --constraint requirements/dev.txt uv \
 && python -m venv .venv \
 && uv pip install --no-cache --python .venv/bin/python --compile-bytecode -r requirements/web.txt

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
COPY web web
RUN python -m compileall -q cspine web migrations
USER cspine
EXPOSE 8000
CMD ["bin/cspine", "web", "--host", "0.0.0.0"]
