-- Text is stored with its letters and their marks in one character (NFC), and looked for so. Rows that were
-- stored before that rule follow here. Where the composed name, SKU or e-mail address belongs to another
-- row already, the row stays as it is until somebody edits it.
create function compose_rows(of_table text, is_other text, assignments text) returns void
    language plpgsql as $$
declare
    row_id uuid;
    changed bigint := 0;
begin
    for row_id in execute format('select id from %I where %s', of_table, is_other) loop
        begin
            execute format(
                'update %I set %s, version = version + 1, updated_at = now() where id = $1',
                of_table, assignments
            ) using row_id;
            changed := changed + 1;
        exception when unique_violation then
            raise warning '% % keeps its text: another row has it composed', of_table, row_id;
        end;
    end loop;
    if changed = 0 then
        return;
    end if;
    -- What is cached ends, in servers that run meanwhile too.
    begin
        insert into changes (at, seq, actor, entity, op, after, tags)
        values (now(), gen_random_uuid(), 'stockroom migrate', of_table, 'import',
            jsonb_build_object('rows', changed), array['epoch']);
    exception when check_violation then
        raise notice 'no server has run today: there is no partition for its changes';
    end;
end $$;

do $do$
begin
    -- Only there are characters what `normalize` takes them for.
    if getdatabaseencoding() <> 'UTF8' then
        return;
    end if;
    perform compose_rows('categories', $$concat_ws(' ', name, description) is not nfc normalized$$,
        'name = normalize(name), description = normalize(description)');
    perform compose_rows('products', $$concat_ws(' ', sku, name, description) is not nfc normalized$$,
        'sku = normalize(sku), name = normalize(name), description = normalize(description)');
    perform compose_rows('customers', $$concat_ws(' ', name, email, phone, address) is not nfc normalized$$,
        'name = normalize(name), email = normalize(email), phone = normalize(phone),
        address = normalize(address::text)::jsonb');
end $do$;

drop function compose_rows;
