/* SPDX-License-Identifier: Apache-2.0 */
/* Copy-on-write of exchanges and queue records, marks, scratch memory. */
#include "core/catalog/catalog_internal.h"

#include "base/bug.h"
#include "base/mem.h"

struct exchange *exchange_own(struct catalog *catalog, struct vhost *vhost,
                              const struct hamt_item *name)
{
    struct vhost_view *view = vhost_own(catalog, vhost);
    struct exchange *old = (struct exchange *)hamt_find(&view->exchanges, name->hash, name->key);
    BUG_ON(!old, "exchange '%.*s' is not in its vhost", STR_ARG(name->key));
    if (old->stamp == catalog->edit.stamp)
        return old;
    struct exchange *copy = mem_alloc(sizeof *copy);
    *copy = *old;
    copy->stamp = catalog->edit.stamp;
    hamt_put(&view->exchanges, &catalog->edit, &copy->item);
    edit_dispose(&catalog->edit, old, old->stamp);
    return copy;
}

struct queue_record *queue_own(struct catalog *catalog, struct vhost *vhost,
                               const struct hamt_item *name)
{
    struct vhost_view *view = vhost_own(catalog, vhost);
    struct queue_record *old =
        (struct queue_record *)hamt_find(&view->queues, name->hash, name->key);
    BUG_ON(!old, "queue '%.*s' is not in its vhost", STR_ARG(name->key));
    if (old->stamp == catalog->edit.stamp)
        return old;
    struct queue_record *copy = mem_alloc(sizeof *copy);
    *copy = *old;
    copy->stamp = catalog->edit.stamp;
    hamt_put(&view->queues, &catalog->edit, &copy->item);
    edit_dispose(&catalog->edit, old, old->stamp);
    return copy;
}

uint32_t marks_take(struct vhost_marks *marks)
{
    return marks->free_count > 0 ? marks->free[--marks->free_count] : marks->next++;
}

void marks_give(struct vhost_marks *marks, uint32_t mark)
{
    if (marks->free_count == marks->free_capacity) {
        marks->free_capacity = marks->free_capacity ? marks->free_capacity * 2 : 64;
        marks->free = mem_resize(marks->free, marks->free_capacity * sizeof *marks->free);
    }
    marks->free[marks->free_count++] = mark;
}

uint8_t *scratch_bytes_reserve(struct scratch_bytes *scratch, size_t size)
{
    if (size > scratch->capacity) {
        scratch->capacity = MAX(size, 2 * scratch->capacity);
        scratch->data = mem_resize(scratch->data, scratch->capacity);
    }
    return scratch->data;
}
