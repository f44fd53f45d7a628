# Edits the lines passwd: and group: of nsswitch.conf(5); every other line, and every blank within these, stays as it is.
# Byte for byte what `oauth2ctl enable nss` and `disable nss` do (oauth2ctl/src/system/nsswitch.rs), which a test compares.
#
# action=add: behind the first `files` or `compat` and its [actions], else at the end. Where those actions merge the results
#             and something follows, ours merge too: the chain would break otherwise.
# action=del: the token and the actions behind it.
# ends=1:     the file ends with a newline.

# Cuts the sources into token[1..n], from first[k] up to past[k]; a [list of actions] is one token, and needs no blank before it.
function tokenize(text,    at, rest, size) {
    n = 0
    at = 1
    while (at <= length(text)) {
        rest = substr(text, at)
        if (match(rest, /^[ \t]+/)) {
            at += RLENGTH
            continue
        }
        if (substr(rest, 1, 1) == "[") size = index(rest, "]")
        else size = match(rest, /[ \t\[]/) - 1
        if (size < 1) size = length(rest)
        n++
        token[n] = substr(rest, 1, size)
        first[n] = at
        past[n] = at + size
        at += size
    }
}

function is_action(k) { return substr(token[k], 1, 1) == "[" }

function is_blank(character) { return character == " " || character == "\t" }

# Is one of the words of these actions SUCCESS=merge?
function merges(text,    words, count, k) {
    count = split(tolower(text), words, /[][ \t]+/)
    for (k = 1; k <= count; k++) if (words[k] == "success=merge") return 1
    return 0
}

function added(sources,    at, k, ours, tail) {
    ours = " oauth2"
    if (n == 0) return ours sources
    for (at = 1; at <= n && token[at] != "files" && token[at] != "compat"; at++) { }
    if (at > n) return substr(sources, 1, past[n] - 1) ours substr(sources, past[n])
    k = at
    while (at < n && is_action(at + 1)) at++
    tail = substr(sources, past[at])
    if (at < n) {
        for (; k <= at; k++) if (is_action(k) && merges(token[k])) break
        if (k <= at) ours = ours " [SUCCESS=merge]"
        if (!is_blank(substr(tail, 1, 1))) ours = ours " "
    }
    return substr(sources, 1, past[at] - 1) ours tail
}

# From the end, so that the places of what comes before stay right.
function deleted(sources,    k, last, from, to) {
    for (k = n; k >= 1; k--) {
        if (token[k] != "oauth2") continue
        for (last = k; last < n && is_action(last + 1); last++) { }
        from = first[k]
        to = past[last]
        if (k > 1) {
            # The blank before goes with it.
            while (from > 1 && is_blank(substr(sources, from - 1, 1))) from--
        } else {
            # Nothing is before: the blank after, or all of it.
            while (is_blank(substr(sources, to, 1))) to++
            if (to > length(sources)) from = 1
        }
        glue = k > 1 && to <= length(sources) && !is_blank(substr(sources, to, 1)) ? " " : ""
        sources = substr(sources, 1, from - 1) glue substr(sources, to)
    }
    return sources
}

function edited(line,    body, rest, colon, k, present) {
    body = match(line, /[#\r]/) ? substr(line, 1, RSTART - 1) : line
    rest = substr(line, length(body) + 1)
    if (body !~ /^[ \t]*(passwd|group)[ \t]*:/) return line
    colon = index(body, ":")
    sources = substr(body, colon + 1)
    tokenize(sources)
    present = 0
    for (k = 1; k <= n; k++) if (token[k] == "oauth2") present = 1
    if (present == (action == "add")) return line
    return substr(body, 1, colon) (action == "add" ? added(sources) : deleted(sources)) rest
}

{ printf "%s%s", (NR > 1 ? "\n" : ""), edited($0) }
END { if (ends && NR) printf "\n" }
