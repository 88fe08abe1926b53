# Compiles the workspace once; the images of the sections take their programs from /out of the last stage. Dependencies are
# a layer of their own, which is made anew only when a manifest or the lock file has changed. scripts/build_images.sh builds
# this, with BuildKit and with the classic builder alike.
ARG RUST_IMAGE

# What is compiled. A change of docker/ is none of it.
FROM ${RUST_IMAGE} AS sources
WORKDIR /workspace
COPY . .
RUN rm -rf docker

# The workspace as far as dependencies are concerned: its manifests and build scripts, and crates without content.
FROM sources AS manifests
RUN find . -type f ! -name Cargo.toml ! -name Cargo.lock ! -name build.rs ! -path '*/src/lib.rs' ! -path '*/src/main.rs' \
        -delete \
    && find . -path '*/src/lib.rs' -exec truncate --size=0 {} + \
    && find . -path '*/src/main.rs' | while read -r main; do echo 'fn main() {}' >"$main"; done \
    && find . -type d -empty -delete

FROM ${RUST_IMAGE} AS dependencies
# PROFILE is release or dev; PACKAGES narrows what is built: `--package section2`.
ARG PROFILE=release
ARG PACKAGES=--workspace
WORKDIR /workspace
COPY --from=manifests /workspace .
RUN cargo build --locked --profile "$PROFILE" $PACKAGES --bins

FROM dependencies AS build
ARG PROFILE=release
ARG PACKAGES=--workspace
COPY --from=sources /workspace .
# Cargo goes by times of modification, and those of the sources are older than what was built of the empty crates.
RUN find . -name '*.rs' ! -path './target/*' -exec touch {} + \
    && cargo build --locked --profile "$PROFILE" $PACKAGES --bins \
    && mkdir /out \
    && find target/*/ -maxdepth 1 -type f -perm -u+x -exec cp {} /out/ \; \
    && strip --strip-all /out/*

FROM scratch
COPY --from=build /out /out
