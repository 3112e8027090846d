#include "nexa_edit.h"

#include <dlfcn.h>
#include <errno.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include "nexa_signal.h"
#include "nexa_terminal.h"

/* What is used of libedit 3: its interface, by hand, because its headers are not needed otherwise. */
typedef struct editline EditLine;
typedef struct history History;
typedef struct { const char *buffer, *cursor, *lastchar; } LineInfo;
typedef struct { int num; const char *str; } HistEvent;
enum { EL_PROMPT = 0, EL_EDITOR = 2, EL_BIND = 4, EL_ADDFN = 9, EL_HIST = 10, EL_GETCFN = 13, EL_PREP_TERM = 16, EL_REFRESH = 20 };
enum { H_SETSIZE = 1, H_ENTER = 10, H_SETUNIQUE = 20 };
enum { CC_REFRESH = 4, CC_REDISPLAY = 8 };

struct nexa_edit {
    void *library;
    EditLine *line;
    History *history;
    const char *prompt;
    nexa_edit_complete complete;
    void *context;
    FILE *output;
    int interrupt;
    int is_interrupted;
    int has_shown;
    char *kept;

    void (*el_end)(EditLine *);
    const char *(*el_gets)(EditLine *, int *);
    int (*el_set)(EditLine *, int, ...);
    const LineInfo *(*el_line)(EditLine *);
    int (*el_insertstr)(EditLine *, const char *);
    void (*el_resize)(EditLine *);
    void (*history_end)(History *);
    int (*history_do)(History *, HistEvent *, int, ...);
};

/* libedit's callbacks have no context: there is one editor. */
static nexa_edit *current;

/* The function that a name has in the library; 0 when one is missing. */
static int find(nexa_edit *edit, const char *name, void *slot) {
    void *symbol = dlsym(edit->library, name);
    memcpy(slot, &symbol, sizeof symbol);
    return symbol != NULL;
}

static char *show_prompt(EditLine *line) {
    (void)line;
    return (char *)current->prompt;
}

/* One byte of the terminal; 0 at its end, at an error and at SIGINT. */
static int read_byte(nexa_edit *edit, unsigned char *byte) {
    for (;;) {
        struct pollfd waiting[2] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = edit->interrupt, .events = POLLIN}};
        if (poll(waiting, 2, -1) < 0 && errno != EINTR) return 0;
        for (int signal; (signal = nexa_signal_take()) != 0;) {
            if (signal == SIGINT) {
                edit->is_interrupted = 1;
                return 0;
            }
            if (signal == SIGWINCH) {
                edit->el_resize(edit->line);
                edit->el_set(edit->line, EL_REFRESH);
            }
            if (signal == SIGCONT) {
                /* Whoever had the terminal meanwhile has left it to its own liking. */
                edit->el_set(edit->line, EL_PREP_TERM, 0);
                edit->el_set(edit->line, EL_PREP_TERM, 1);
                edit->el_set(edit->line, EL_REFRESH);
            }
        }
        if (waiting[0].revents == 0) continue;
        ssize_t count = read(STDIN_FILENO, byte, 1);
        if (count == 1) return 1;
        if (count == 0 || (errno != EINTR && errno != EAGAIN)) return 0;
    }
}

/* One character, decoded from UTF-8 whatever the locale says; a byte that is none becomes U+FFFD. */
static int read_character(EditLine *line, wchar_t *character) {
    (void)line;
    nexa_edit *edit = current;
    unsigned char byte;
    if (!read_byte(edit, &byte)) return 0;
    static const wchar_t least[] = {0, 0x80, 0x800, 0x10000};
    int more = byte < 0x80 ? 0 : byte >= 0xC2 && byte < 0xE0 ? 1 : (byte & 0xF0) == 0xE0 ? 2 : byte >= 0xF0 && byte < 0xF5 ? 3 : -1;
    wchar_t value = more <= 0 ? byte : byte & (0x3F >> more);
    int is_good = more >= 0;
    for (int i = 0; i < more; i++) {
        if (!read_byte(edit, &byte)) return 0;
        is_good = is_good && (byte & 0xC0) == 0x80;
        value = value << 6 | (byte & 0x3F);
    }
    /* Longer than it needs to be, half of a surrogate pair, or beyond Unicode: no character, although its bytes look like one. */
    if (is_good && more > 0 && (value < least[more] || (value >= 0xD800 && value < 0xE000) || value > 0x10FFFF)) is_good = 0;
    *character = is_good ? value : 0xFFFD;
    return 1;
}

static unsigned char complete_line(EditLine *line, int key) {
    (void)key;
    nexa_edit *edit = current;
    const LineInfo *info = edit->el_line(line);
    char *before = strndup(info->buffer, (size_t)(info->cursor - info->buffer));
    if (before == NULL) return CC_REFRESH;
    edit->has_shown = 0;
    edit->complete(edit->context, edit, before);
    free(before);
    return edit->has_shown ? CC_REDISPLAY : CC_REFRESH;
}

/* Keys beside libedit's own, as terminals send them and as people know them from other shells. */
static void bind_keys(nexa_edit *edit) {
    static const char *const keys[][2] = {
        {"^I", "nexa-complete"},           {"^R", "em-inc-search-prev"},        {"^W", "ed-delete-prev-word"},
        {"\\e[3~", "ed-delete-next-char"}, {"\\e[1~", "ed-move-to-beg"},        {"\\e[4~", "ed-move-to-end"},
        {"\\e[H", "ed-move-to-beg"},       {"\\e[F", "ed-move-to-end"},         {"\\eOH", "ed-move-to-beg"},
        {"\\eOF", "ed-move-to-end"},       {"\\e[1;5C", "em-next-word"},        {"\\e[1;5D", "ed-prev-word"},
    };
    edit->el_set(edit->line, EL_ADDFN, "nexa-complete", "complete the word", complete_line);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        edit->el_set(edit->line, EL_BIND, keys[i][0], keys[i][1], (char *)NULL);
}

static int load(nexa_edit *edit) {
    return (edit->library = dlopen("libedit.so.2", RTLD_NOW | RTLD_LOCAL)) != NULL && find(edit, "el_end", &edit->el_end) &&
           find(edit, "el_gets", &edit->el_gets) && find(edit, "el_set", &edit->el_set) &&
           find(edit, "el_line", &edit->el_line) && find(edit, "el_insertstr", &edit->el_insertstr) &&
           find(edit, "el_resize", &edit->el_resize) && find(edit, "history_end", &edit->history_end) &&
           find(edit, "history", &edit->history_do);
}

static int start(nexa_edit *edit, const char *program, int history_max) {
    EditLine *(*el_init)(const char *, FILE *, FILE *, FILE *);
    History *(*history_init)(void);
    int (*el_source)(EditLine *, const char *);
    if (!find(edit, "el_init", &el_init) || !find(edit, "history_init", &history_init) || !find(edit, "el_source", &el_source))
        return 0;
    /* libedit counts columns by the locale. */
    setlocale(LC_CTYPE, "");
    if (MB_CUR_MAX == 1) setlocale(LC_CTYPE, "C.UTF-8");
    edit->output = isatty(STDOUT_FILENO) ? stdout : stderr;
    edit->line = el_init(program, stdin, edit->output, stderr);
    edit->history = history_init();
    if (edit->line == NULL || edit->history == NULL) return 0;
    HistEvent event;
    edit->history_do(edit->history, &event, H_SETSIZE, history_max);
    edit->history_do(edit->history, &event, H_SETUNIQUE, 1);
    edit->el_set(edit->line, EL_PROMPT, show_prompt);
    edit->el_set(edit->line, EL_GETCFN, read_character);
    edit->el_set(edit->line, EL_HIST, edit->history_do, edit->history);
    edit->el_set(edit->line, EL_EDITOR, "emacs");
    bind_keys(edit);
    el_source(edit->line, NULL);
    return 1;
}

nexa_edit *nexa_edit_open(const char *program, int interrupt, int history_max, nexa_edit_complete complete, void *context) {
    const char *terminal = getenv("TERM");
    if (terminal == NULL || strcmp(terminal, "dumb") == 0) return NULL;
    nexa_edit *edit = calloc(1, sizeof *edit);
    if (edit == NULL) return NULL;
    edit->complete = complete;
    edit->context = context;
    edit->interrupt = interrupt;
    edit->prompt = "";
    current = edit;
    if (load(edit) && start(edit, program, history_max)) return edit;
    nexa_edit_close(edit);
    return NULL;
}

void nexa_edit_close(nexa_edit *edit) {
    if (edit->line != NULL) edit->el_end(edit->line);
    if (edit->history != NULL) edit->history_end(edit->history);
    current = NULL;
    free(edit->kept);
    free(edit);
}

int nexa_edit_line(nexa_edit *edit, const char *prompt, const char **line) {
    edit->prompt = prompt;
    edit->is_interrupted = 0;
    nexa_terminal_keep();
    /* Before the prompt is shown: what is typed at it must not meet a terminal that still takes ^D and the like itself. */
    edit->el_set(edit->line, EL_PREP_TERM, 1);
    int count = 0;
    const char *text = edit->el_gets(edit->line, &count);
    edit->el_set(edit->line, EL_PREP_TERM, 0);
    nexa_terminal_forget();
    if (edit->is_interrupted) return NEXA_EDIT_INTERRUPTED;
    if (text == NULL || count <= 0) return NEXA_EDIT_ENDED;
    free(edit->kept);
    edit->kept = strndup(text, strcspn(text, "\r\n"));
    *line = edit->kept;
    return edit->kept == NULL ? NEXA_EDIT_ENDED : NEXA_EDIT_LINE;
}

void nexa_edit_remember(nexa_edit *edit, const char *line) {
    HistEvent event;
    edit->history_do(edit->history, &event, H_ENTER, line);
}

void nexa_edit_insert(nexa_edit *edit, const char *text) { edit->el_insertstr(edit->line, text); }

void nexa_edit_show(nexa_edit *edit, const char *text) {
    fprintf(edit->output, "\n%s\n", text);
    fflush(edit->output);
    edit->has_shown = 1;
}
