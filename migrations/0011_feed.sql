-- The position that was given last. Whoever gives some locks this row until the commit, so that positions
-- become visible in their own order, and none can come to light behind a reader.
create table feed (
    id smallint not null,
    position bigint not null,
    constraint feed_pkey primary key (id),
    constraint feed_id_check check (id = 1)
);

insert into feed (id, position) values (1, 0);

create index changes_unplaced_idx on changes (at, seq) where position is null;
