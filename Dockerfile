# The build stage has make and a compiler-free toolchain; the image gets the installed Connector and nothing else.
FROM python:3.13-bookworm AS build
WORKDIR /src
COPY pyproject.toml requirements.lock Makefile LICENSE README.md ./
COPY clients/python clients/python
COPY server server
RUN make install PREFIX=/opt/enmeshed-connector

FROM python:3.13-slim-bookworm
LABEL org.opencontainers.image.title="enmeshed gRPC Connector" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin connector \
    && install -d -o 10001 -g 10001 -m 0700 /var/lib/enmeshed-connector
COPY --from=build /opt/enmeshed-connector /opt/enmeshed-connector
ENV PATH=/opt/enmeshed-connector/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ENMESHED_SERVER__HOST=0.0.0.0 \
    ENMESHED_DATABASE__FOLDER=/var/lib/enmeshed-connector
USER 10001:10001
# The only place that is written to; everything else may be mounted read-only.
VOLUME /var/lib/enmeshed-connector
EXPOSE 50051
HEALTHCHECK --interval=30s --timeout=5s --start-period=15s --retries=5 CMD ["enmeshed-connector", "health"]
ENTRYPOINT ["enmeshed-connector"]
CMD ["serve"]
