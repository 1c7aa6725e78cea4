# The one binary and the production checklist. OpenSSL, for the Kafka client, is the runtime image's.
#   docker build -t probe .
#   docker run --read-only --cap-drop=all probe --once        one run
#   docker run --read-only --cap-drop=all probe               the daemon
# The root file system can be read-only; a history file goes into the volume /var/lib/probe.
ARG RUST_IMAGE=rust:1.88-bookworm
ARG RUNTIME_IMAGE=gcr.io/distroless/cc-debian12:nonroot

FROM ${RUST_IMAGE} AS build
RUN apt-get update && apt-get install -y --no-install-recommends cmake g++ libssl-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src ./src
COPY benches ./benches
COPY tests ./tests
RUN cargo build --release --locked --bin probe && mkdir state

FROM ${RUNTIME_IMAGE}
COPY --from=build /src/target/release/probe /usr/local/bin/probe
COPY probes.toml /etc/probe/probes.toml
COPY checklist /etc/probe/checklist
COPY --from=build --chown=65532:65532 /src/state /var/lib/probe
USER 65532:65532
WORKDIR /etc/probe
VOLUME /var/lib/probe
# Whether the agent lives, not whether a gate passes: who is restarted because of a target learns nothing.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["/usr/local/bin/probe", "health"]
ENTRYPOINT ["/usr/local/bin/probe"]
CMD ["--config", "/etc/probe/probes.toml"]
