-- Stock and version change with every order, so neither stands in an index: an update then stays
-- on its page (HOT). Sorting by stock reads the table, which is small beside the orders.
create table products (
    id uuid not null,
    version bigint not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    category_id uuid not null,
    sku text not null,
    name text not null,
    description text not null,
    price_minor bigint not null,
    stock bigint not null,
    active boolean not null,
    constraint products_pkey primary key (id),
    constraint products_category_id_fkey foreign key (category_id) references categories (id),
    constraint products_price_minor_check check (price_minor >= 0),
    constraint products_stock_check check (stock >= 0)
) with (fillfactor = 80);

create unique index products_sku_key on products (sku);
create index products_name_idx on products (lower(name), id);
create index products_price_minor_idx on products (price_minor, id);
create index products_created_at_idx on products (created_at, id);
create index products_category_id_idx on products (category_id, lower(name), id);
call create_search_index('products_search_idx', 'products', $$name || ' ' || sku$$);
