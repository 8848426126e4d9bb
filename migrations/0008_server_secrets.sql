-- Keys that all servers of one database share; each is made by the first server that needs it.
create table server_secrets (
    name text not null,
    value bytea not null,
    constraint server_secrets_pkey primary key (name)
);
