/* The migrations, built into the program from sql/migrations by sql/embed.sh. */
#ifndef ASSAY_SQL_MIGRATIONS_H
#define ASSAY_SQL_MIGRATIONS_H

struct assay__migration {
    int version; /* 1, 2, … without gaps */
    const char *name;
    const char *sql;
};

extern const struct assay__migration assay__migrations[];
extern const int assay__migrations_count;

#endif
