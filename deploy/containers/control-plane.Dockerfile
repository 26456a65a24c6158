# The control plane: API, page and the operators' command line. It needs a NATS server beside it
# (compose.yaml). Build from the root of the repository:
#   docker build -f deploy/containers/control-plane.Dockerfile -t runnel-control .
FROM node:24-bookworm-slim AS build
WORKDIR /src
COPY package.json package-lock.json ./
COPY shared/package.json shared/
COPY agent/package.json agent/
COPY control-plane/package.json control-plane/
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json LICENSE ./
COPY deploy/local deploy/local
COPY shared shared
COPY agent agent
COPY control-plane control-plane
RUN node deploy/local/build.mjs

FROM node:24-bookworm-slim
LABEL org.opencontainers.image.title="Runnel control plane" \
      org.opencontainers.image.licenses="Apache-2.0"
WORKDIR /app
COPY --from=build /src/LICENSE ./
COPY --from=build /src/control-plane/package.json control-plane/
COPY --from=build /src/control-plane/bin control-plane/bin
COPY --from=build /src/control-plane/dist control-plane/dist
# What the bundles leave outside: the store's native module, and what it loads.
COPY --from=build /src/node_modules/libsql node_modules/libsql
COPY --from=build /src/node_modules/@libsql node_modules/@libsql
COPY --from=build /src/node_modules/@neon-rs node_modules/@neon-rs
COPY --from=build /src/node_modules/detect-libc node_modules/detect-libc
RUN ln -s /app/control-plane/bin/runnel-control.js /usr/local/bin/runnel-control \
 && ln -s /app/control-plane/bin/runnel.js /usr/local/bin/runnel \
 && mkdir -p /data /nats \
 && chown node:node /data /nats
USER node
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8080/readyz').then((r) => process.exit(r.ok ? 0 : 1))"]
ENTRYPOINT ["runnel-control"]
CMD ["serve", "--data", "/data", "--http", "0.0.0.0:8080"]
