-- Tokens: who may use the API, and in which role. The secret itself is shown once and never stored.
create table tokens (
    id uuid not null,
    name text not null,
    role text not null,
    -- SHA-256 of the secret.
    hash bytea not null,
    created_at timestamptz not null,
    created_by text not null,
    expires_at timestamptz,
    last_used_at timestamptz,
    revoked_at timestamptz,
    constraint tokens_pkey primary key (id),
    constraint tokens_role_check check (role in ('viewer', 'editor', 'admin'))
);

create unique index tokens_hash_key on tokens (hash);
-- The name of a revoked token may be used again.
create unique index tokens_name_key on tokens (lower(name)) where revoked_at is null;

-- One row, which grows with each token that is created or revoked: servers read it to see whether to read the
-- tokens again.
create table token_generation (number bigint not null);
insert into token_generation values (0);

-- The actor is the name of the token; the caller may say for whom it acts.
alter table changes add column on_behalf_of text;
alter table jobs add column on_behalf_of text;

-- Partitions of the change log that are archived need the column too, or they could not be restored.
do $$
declare
    archived regclass;
begin
    for archived in
        select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = 'archive' and c.relkind = 'r' and c.relname like 'changes\_%'
    loop
        execute format('alter table %s add column if not exists on_behalf_of text', archived);
    end loop;
end $$;
