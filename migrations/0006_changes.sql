-- The one log of what writes did, each row of it in the write's own transaction. `seq` (UUIDv7) is
-- unique but tells nothing about the order of commits; `position` is given to committed rows later.
create table changes (
    at timestamptz not null,
    seq uuid not null,
    position bigint,
    actor text not null,
    entity text not null,
    entity_id uuid,
    op text not null,
    version bigint,
    before jsonb,
    after jsonb,
    tags text[] not null,
    relayed_at timestamptz,
    constraint changes_pkey primary key (at, seq)
) partition by range (at);

create index changes_entity_id_idx on changes (entity_id, at) where entity_id is not null;
create index changes_position_idx on changes (position) where position is not null;
create index changes_unrelayed_idx on changes (at, seq) where relayed_at is null;
