-- Partitions that were taken off their tables. An archived one is kept as tables in this schema, a
-- dropped one only by name: neither can be made anew, and whoever asks for what was in it is told.
create schema archive;

create table archived_partitions (
    -- Of the table that stands for its family: orders_2024_01 takes order_items_2024_01 along.
    name text not null,
    family text not null,
    lower timestamptz not null,
    upper timestamptz not null,
    state text not null,
    at timestamptz not null,
    constraint archived_partitions_pkey primary key (name),
    constraint archived_partitions_state_check check (state in ('archived', 'dropped'))
);
