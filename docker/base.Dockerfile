# Common base of all section images: a C library, busybox, tini as init process, certificates, an unprivileged user, and
# the scripts of docker/base. Nothing else of Debian is in it: no package manager, no setuid program. Built by
# scripts/build_images.sh; the files come from packages of the Debian image that docker/.env names.
ARG DEBIAN_IMAGE
FROM ${DEBIAN_IMAGE} AS root
COPY docker/base-root.sh /
RUN sh /base-root.sh /target

FROM scratch
COPY --from=root /target /
ENV PATH=/usr/local/bin:/usr/bin
# Copies belong to root.
RUN chown weir:weir /srv/weir
COPY docker/base /usr/local/lib/weir
# Independent of the file modes in the checkout.
RUN chmod -R a+rX /usr/local/lib/weir
WORKDIR /srv/weir
LABEL org.opencontainers.image.title="base" \
    org.opencontainers.image.description="What the images of all sections have in common" \
    org.opencontainers.image.licenses="Apache-2.0 AND GPL-2.0-only AND LGPL-2.1-or-later"
