# PostgreSQL from Debian's package, in the shape of the official image: POSTGRES_USER, POSTGRES_PASSWORD_FILE,
# POSTGRES_DB, /docker-entrypoint-initdb.d/*.sql. For machines that reach no registry.
ARG BASE=debian:bookworm-slim
FROM ${BASE}
RUN --mount=type=secret,id=apt_sources,target=/etc/apt/sources.list.d/build.sources \
    --mount=type=secret,id=apt_options,target=/etc/apt/apt.conf.d/99build \
    apt-get -q update \
    && DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends postgresql-common \
    && sed -i 's/^#\?create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf \
    && DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends postgresql-15 \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /usr/share/doc/* \
    && install -d -o postgres -g postgres /var/lib/postgresql/data /docker-entrypoint-initdb.d \
    && install -d -o postgres -g postgres -m 3777 /var/run/postgresql
ENV PATH=/usr/lib/postgresql/15/bin:$PATH PGDATA=/var/lib/postgresql/data
COPY --chmod=755 deploy/images/postgres-entry /usr/local/bin/docker-entrypoint.sh
USER postgres
STOPSIGNAL SIGINT
EXPOSE 5432
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["postgres"]
