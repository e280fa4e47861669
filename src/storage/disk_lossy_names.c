/* SPDX-License-Identifier: Apache-2.0 */
/* The names of a lossy disk: texts and their inodes, one list of the sure and one of the visible. */
#include "storage/disk_lossy_internal.h"

#include "base/bug.h"
#include "base/mem.h"

#include <string.h>

void lossy_name_copy(char *to, const char *from)
{
    const size_t n = strlen(from);

    BUG_ON(n >= DISK_NAME_MAX, "file name too long: %s", from);
    memcpy(to, from, n + 1);
}

struct lossy_name *lossy_names_find(const struct lossy_names *names, const char *text)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->list[i].text, text) == 0)
            return &names->list[i];
    return NULL;
}

struct lossy_inode *lossy_names_get(const struct lossy_names *names, const char *text)
{
    const struct lossy_name *name = lossy_names_find(names, text);

    return name ? name->inode : NULL;
}

struct lossy_name *lossy_names_find_inode(const struct lossy_names *names,
                                          const struct lossy_inode *inode)
{
    for (size_t i = 0; i < names->count; i++)
        if (names->list[i].inode == inode)
            return &names->list[i];
    return NULL;
}

void lossy_names_put(struct lossy_names *names, const char *text, struct lossy_inode *inode)
{
    struct lossy_name *name = lossy_names_find(names, text);

    if (!name) {
        if (names->count == names->capacity) {
            names->capacity = MAX((size_t)8, 2 * names->capacity);
            names->list = mem_resize(names->list, names->capacity * sizeof(*names->list));
        }
        name = &names->list[names->count++];
        lossy_name_copy(name->text, text);
    }
    name->inode = inode;
}

void lossy_names_remove(struct lossy_names *names, const char *text)
{
    struct lossy_name *name = lossy_names_find(names, text);

    if (name)
        *name = names->list[--names->count];
}

void lossy_names_rename(struct lossy_names *names, const char *from, const char *to)
{
    struct lossy_inode *inode = lossy_names_get(names, from);

    lossy_names_remove(names, from);
    lossy_names_put(names, to, inode);
}
