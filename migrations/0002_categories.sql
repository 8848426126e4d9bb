create table categories (
    id uuid not null,
    version bigint not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    name text not null,
    description text not null,
    constraint categories_pkey primary key (id)
);

create unique index categories_name_key on categories (lower(name));
create index categories_created_at_idx on categories (created_at, id);
call create_search_index('categories_search_idx', 'categories', 'name');
