#include "fdt.h"

#define FDT_MAGIC 0xd00dfeedU
#define FDT_MAX_SIZE (2U << 20)
#define FDT_HEADER_SIZE 40U
#define MAX_DEPTH 8U

enum fdt_token { FDT_BEGIN_NODE = 1, FDT_END_NODE = 2, FDT_PROP = 3, FDT_NOP = 4, FDT_END = 9 };

enum node { NODE_OTHER, NODE_ROOT, NODE_MEMORY, NODE_CHOSEN, NODE_CPUS, NODE_PSCI };

struct reader {
    const uint8_t *blob;
    uint32_t position;
    uint32_t end;
    uint32_t strings;
    uint32_t strings_end;
    uint32_t address_cells;
    uint32_t size_cells;
    unsigned depth;
    enum node nodes[MAX_DEPTH];
    struct machine *found;
};

struct property {
    const char *name;
    const uint8_t *value;
    uint32_t length;
};

/* Bytewise: with the MMU off every access must be aligned, and a tree may be placed anywhere. */
static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint64_t be_cells(const uint8_t *p, uint32_t cells)
{
    uint64_t value = 0;

    for (uint32_t i = 0; i < cells; i++)
        value = value << 32 | be32(p + 4 * i);
    return value;
}

static bool starts_with(const char *text, const char *prefix)
{
    while (*prefix)
        if (*text++ != *prefix++)
            return false;
    return true;
}

static bool take_word(struct reader *r, uint32_t *word)
{
    if (r->end - r->position < 4)
        return false;
    *word = be32(r->blob + r->position);
    r->position += 4;
    return true;
}

static bool skip_bytes(struct reader *r, uint32_t length)
{
    uint32_t padded = (length + 3) & ~3U;

    if (padded < length || padded > r->end - r->position)
        return false;
    r->position += padded;
    return true;
}

/* The NUL-terminated string at `offset`, or NULL when it does not end before `end`. */
static const char *string_at(const struct reader *r, uint32_t offset, uint32_t end)
{
    for (uint32_t i = offset; i < end; i++)
        if (!r->blob[i])
            return (const char *)r->blob + offset;
    return NULL;
}

static enum node classify(const struct reader *r, const char *name)
{
    if (r->depth == 0)
        return NODE_ROOT;
    if (r->depth > 1)
        return NODE_OTHER;
    if (starts_with(name, "memory@") || string_equal(name, "memory"))
        return NODE_MEMORY;
    if (string_equal(name, "chosen"))
        return NODE_CHOSEN;
    if (string_equal(name, "cpus"))
        return NODE_CPUS;
    return string_equal(name, "psci") ? NODE_PSCI : NODE_OTHER;
}

static bool begin_node(struct reader *r)
{
    const char *name = string_at(r, r->position, r->end);
    uint32_t length = 0;

    if (!name || r->depth == MAX_DEPTH)
        return false;
    if (r->depth == 2 && r->nodes[1] == NODE_CPUS && starts_with(name, "cpu@"))
        r->found->cpus++;
    r->nodes[r->depth] = classify(r, name);
    r->depth++;
    while (name[length])
        length++;
    return skip_bytes(r, length + 1);
}

static bool take_property(struct reader *r, struct property *property)
{
    uint32_t name;

    if (!take_word(r, &property->length) || !take_word(r, &name))
        return false;
    property->value = r->blob + r->position;
    if (name >= r->strings_end - r->strings || !skip_bytes(r, property->length))
        return false;
    property->name = string_at(r, r->strings + name, r->strings_end);
    return property->name != NULL;
}

static void read_root(struct reader *r, const struct property *p)
{
    if (p->length != 4)
        return;
    if (string_equal(p->name, "#address-cells"))
        r->address_cells = be32(p->value);
    else if (string_equal(p->name, "#size-cells"))
        r->size_cells = be32(p->value);
}

/* Only the first range counts: these machines have one. */
static void read_memory(struct reader *r, const struct property *p)
{
    bool sane = r->address_cells - 1 < 2 && r->size_cells - 1 < 2;

    if (r->found->ram_size || !sane || !string_equal(p->name, "reg"))
        return;
    if (p->length < 4 * (r->address_cells + r->size_cells))
        return;
    r->found->ram_base = be_cells(p->value, r->address_cells);
    r->found->ram_size = be_cells(p->value + 4 * r->address_cells, r->size_cells);
}

static void read_chosen(struct reader *r, const struct property *p)
{
    uint32_t i;

    if (!string_equal(p->name, "bootargs"))
        return;
    for (i = 0; i < p->length && i < BOOTARGS_SIZE - 1; i++)
        r->found->bootargs[i] = (char)p->value[i];
    r->found->bootargs[i] = '\0';
}

static void read_psci(struct reader *r, const struct property *p)
{
    if (string_equal(p->name, "method") && p->length == 4)
        r->found->psci_smc = p->value[0] == 's';
}

static bool read_property(struct reader *r)
{
    struct property property;

    if (r->depth == 0 || !take_property(r, &property))
        return false;
    switch (r->nodes[r->depth - 1]) {
    case NODE_ROOT:
        read_root(r, &property);
        break;
    case NODE_MEMORY:
        read_memory(r, &property);
        break;
    case NODE_CHOSEN:
        read_chosen(r, &property);
        break;
    case NODE_PSCI:
        read_psci(r, &property);
        break;
    default:
        break;
    }
    return true;
}

static bool read_structure(struct reader *r)
{
    uint32_t token;

    while (take_word(r, &token)) {
        bool good = true;

        if (token == FDT_END)
            return r->depth == 0;
        if (token == FDT_BEGIN_NODE)
            good = begin_node(r);
        else if (token == FDT_END_NODE)
            good = r->depth-- > 0;
        else if (token == FDT_PROP)
            good = read_property(r);
        else if (token != FDT_NOP)
            good = false;
        if (!good)
            return false;
    }
    return false;
}

static bool open_blob(struct reader *r)
{
    uint32_t total, structure, structure_size, strings, strings_size;

    if (!r->blob || be32(r->blob) != FDT_MAGIC)
        return false;
    total = be32(r->blob + 4);
    structure = be32(r->blob + 8);
    strings = be32(r->blob + 12);
    strings_size = be32(r->blob + 32);
    structure_size = be32(r->blob + 36);
    if (total < FDT_HEADER_SIZE || total > FDT_MAX_SIZE)
        return false;
    if (structure > total || structure_size > total - structure)
        return false;
    if (strings > total || strings_size > total - strings)
        return false;
    r->position = structure;
    r->end = structure + structure_size;
    r->strings = strings;
    r->strings_end = strings + strings_size;
    return true;
}

bool fdt_read(const void *fdt, struct machine *found)
{
    /* The cell counts are the specification's defaults for a root that does not say. */
    struct reader r = {.blob = fdt, .address_cells = 2, .size_cells = 1, .found = found};

    if (!open_blob(&r) || !read_structure(&r) || !found->ram_size)
        return false;
    if (found->cpus == 0)
        found->cpus = 1;
    return true;
}
