# One image for every part; the command says which: ingest, api, simulate, db upgrade, …
FROM python:3.11.11-slim-bookworm AS build
WORKDIR /build
# The locked packages first: they change seldom, and the layer is then taken from the cache.
COPY requirements.txt requirements-dev.txt ./
RUN python -m venv /opt/build \
    && /opt/build/bin/pip install --no-cache-dir --require-hashes --only-binary :all: \
       -r requirements-dev.txt \
    && python -m venv /opt/courtyard \
    && /opt/courtyard/bin/pip install --no-cache-dir --require-hashes --only-binary :all: \
       -r requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY alerts alerts
COPY api api
COPY courtyard courtyard
COPY devices devices
COPY ingest ingest
COPY simulators simulators
RUN /opt/build/bin/hatchling build -t wheel \
    && /opt/courtyard/bin/pip install --no-cache-dir --no-deps dist/courtyard-*.whl

FROM python:3.11.11-slim-bookworm
# for PDF reports
RUN apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends fonts-noto-cjk \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin courtyard \
    && install --directory --owner courtyard --group courtyard --mode 0700 /data
COPY --from=build /opt/courtyard /opt/courtyard
ENV PATH=/opt/courtyard/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    COURTYARD_DATA_DIR=/data \
    COURTYARD_LOG=json
USER courtyard
WORKDIR /data
VOLUME /data
EXPOSE 8000 9101
STOPSIGNAL SIGTERM
ENTRYPOINT ["courtyard"]
CMD ["api"]
# Of the API; docker-compose.yml has ingest's own.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/livez', timeout=2)"]
