# The agent of one device, from the archive that `npm run package` made. Build from the root of the
# repository, for arm64 with --build-arg PLATFORM=linux-arm64:
#   docker build -f deploy/containers/agent.Dockerfile -t runnel-agent .
FROM debian:bookworm-slim
LABEL org.opencontainers.image.title="Runnel agent" \
      org.opencontainers.image.licenses="Apache-2.0"
ARG VERSION=0.1.0
ARG PLATFORM=linux-x64
ADD .runnel/packages/runnel-agent-${VERSION}-${PLATFORM}.tar.xz /opt/runnel/agent/current/
COPY deploy/containers/agent-entrypoint.sh /usr/local/bin/runnel-agent-entrypoint
RUN useradd --system --user-group --no-create-home --home-dir /var/lib/runnel runnel \
 && install -d -o runnel -g runnel -m 0750 /var/lib/runnel \
 && ln -s /opt/runnel/agent/current/bin/runnel-agent /usr/local/bin/runnel-agent
ENV RUNNEL_DATA=/var/lib/runnel
USER runnel
VOLUME /var/lib/runnel
# The agent's own MQTT broker, when a job uses it.
EXPOSE 1883
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s CMD ["runnel-agent", "status"]
ENTRYPOINT ["runnel-agent-entrypoint"]
