#compdef probe

autoload -U is-at-least

_probe() {
    typeset -A opt_args
    typeset -a _arguments_options
    local ret=1

    if is-at-least 5.2; then
        _arguments_options=(-s -S -C)
    else
        _arguments_options=(-s -C)
    fi

    local context curcontext="$curcontext" state line
    _arguments "${_arguments_options[@]}" : \
'-c+[The configuration]:FILE:_files' \
'--config=[The configuration]:FILE:_files' \
'*--select=[Only these probes, and what they depend on\: an id, \`tag\:NAME\`, or an item'\''s id; \`*\` as wildcard. Repeatable]:ID|tag:NAME:_default' \
'--gate=[The gate that decides the exit code; without it all gates do]:NAME:_default' \
'--deadline=[Bounds the whole run, such as 60s; what has not ended by then is unknown]:DURATION:_default' \
'--exit-map=[Use the exit codes of another tool]:MAP:((probe\:"0 pass or warn, 1 fail, 2 usage, 3 unknown, 4 warn with --fail-on-warn"
nagios\:"0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN (also for usage errors)"))' \
'--format=[The form on stdout; without it\: a table on a terminal, JSON otherwise]:FORMAT:((json\:"\`probe.verdict/v1\`"
table\:"For people"
markdown\:"The checklist, written anew"
jsonl\:"One line of JSON an item"
junit\:"\`JUnit\` XML, for Jenkins, GitLab and other CI"
sarif\:"SARIF 2.1.0, for code scanning"
tap\:"Test Anything Protocol, version 14"
nagios\:"The line of a monitoring plugin; on stdout with its exit codes"
prometheus\:"Prometheus text, for the textfile collector"
summary\:"Markdown for a pull request or a job summary"
github\:"Annotations of GitHub Actions"
cdevents\:"Test events of \`CDEvents\`, one line of JSON each"
ohdf\:"OASIS Heimdall data format"
html\:"A page\: one file, for a browser"
intoto\:"A signed in-toto statement, with \`--sign-key\`"))' \
'*--output=[Also write the verdict to a file, whole or not at all; \`-\` is stdout, in place of \`--format\`. Repeatable]:FORMAT=FILE:_default' \
'--checklist=[The checklist in Markdown\: its claims are held against the results, its rows become items]:FILE:_files' \
'--lang=[The language of titles, statuses and reports; without it\: English in tables, a document'\''s own in Markdown]:LANGUAGE:((zh\:"Chinese"
en\:"English"))' \
'--sign-key=[The private key for \`--output intoto=FILE\`\: PEM, PKCS#8, Ed25519 or ECDSA P-256]:KEY.pem:_files' \
'*--subject=[An artifact that is being deployed, in place of \`\[agent\] digests\`. Repeatable]:NAME@sha256:HEX:_default' \
'*-v[Say more on stderr; twice for details]' \
'*--verbose[Say more on stderr; twice for details]' \
'--once[Run every probe once, print the verdict, exit with the gate'\''s code. Without it and without a command\: run as a daemon, until SIGTERM]' \
'--fail-on-warn[Exit with 4 when the gate only warns]' \
'--check[Write no Markdown, and exit with 1 when the checklist (or the file that \`--output markdown=\` names) is out of date]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
'-V[Print version]' \
'--version[Print version]' \
":: :_probe_commands" \
"*::: :->probe" \
&& ret=0
    case $state in
    (probe)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:probe-command-$line[1]:"
        case $line[1] in
            (check)
_arguments "${_arguments_options[@]}" : \
'-c+[The configuration]:FILE:_files' \
'--config=[The configuration]:FILE:_files' \
'*-v[Say more on stderr; twice for details]' \
'*--verbose[Say more on stderr; twice for details]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(explain)
_arguments "${_arguments_options[@]}" : \
'-c+[The configuration]:FILE:_files' \
'--config=[The configuration]:FILE:_files' \
'*-v[Say more on stderr; twice for details]' \
'*--verbose[Say more on stderr; twice for details]' \
'-h[Print help]' \
'--help[Print help]' \
':kind -- The kind:_default' \
&& ret=0
;;
(kinds)
_arguments "${_arguments_options[@]}" : \
'-c+[The configuration]:FILE:_files' \
'--config=[The configuration]:FILE:_files' \
'*-v[Say more on stderr; twice for details]' \
'*--verbose[Say more on stderr; twice for details]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(schema)
_arguments "${_arguments_options[@]}" : \
'-c+[The configuration]:FILE:_files' \
'--config=[The configuration]:FILE:_files' \
'*-v[Say more on stderr; twice for details]' \
'*--verbose[Say more on stderr; twice for details]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
':name -- Of what:((config\:"probes.toml"
verdict\:"The JSON verdict"
openapi\:"The HTTP API of the daemon\: an \`OpenAPI\` document"))' \
&& ret=0
;;
(init)
_arguments "${_arguments_options[@]}" : \
'-c+[The configuration]:FILE:_files' \
'--config=[The configuration]:FILE:_files' \
'*-v[Say more on stderr; twice for details]' \
'*--verbose[Say more on stderr; twice for details]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(replay)
_arguments "${_arguments_options[@]}" : \
'*--select=[Only these probes, and what they depend on\: an id, \`tag\:NAME\`, or an item'\''s id; \`*\` as wildcard. Repeatable]:ID|tag:NAME:_default' \
'--gate=[The gate that decides the exit code; without it all gates do]:NAME:_default' \
'--deadline=[Bounds the whole run, such as 60s; what has not ended by then is unknown]:DURATION:_default' \
'--exit-map=[Use the exit codes of another tool]:MAP:((probe\:"0 pass or warn, 1 fail, 2 usage, 3 unknown, 4 warn with --fail-on-warn"
nagios\:"0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN (also for usage errors)"))' \
'--format=[The form on stdout; without it\: a table on a terminal, JSON otherwise]:FORMAT:((json\:"\`probe.verdict/v1\`"
table\:"For people"
markdown\:"The checklist, written anew"
jsonl\:"One line of JSON an item"
junit\:"\`JUnit\` XML, for Jenkins, GitLab and other CI"
sarif\:"SARIF 2.1.0, for code scanning"
tap\:"Test Anything Protocol, version 14"
nagios\:"The line of a monitoring plugin; on stdout with its exit codes"
prometheus\:"Prometheus text, for the textfile collector"
summary\:"Markdown for a pull request or a job summary"
github\:"Annotations of GitHub Actions"
cdevents\:"Test events of \`CDEvents\`, one line of JSON each"
ohdf\:"OASIS Heimdall data format"
html\:"A page\: one file, for a browser"
intoto\:"A signed in-toto statement, with \`--sign-key\`"))' \
'*--output=[Also write the verdict to a file, whole or not at all; \`-\` is stdout, in place of \`--format\`. Repeatable]:FORMAT=FILE:_default' \
'--checklist=[The checklist in Markdown\: its claims are held against the results, its rows become items]:FILE:_files' \
'--lang=[The language of titles, statuses and reports; without it\: English in tables, a document'\''s own in Markdown]:LANGUAGE:((zh\:"Chinese"
en\:"English"))' \
'--sign-key=[The private key for \`--output intoto=FILE\`\: PEM, PKCS#8, Ed25519 or ECDSA P-256]:KEY.pem:_files' \
'*--subject=[An artifact that is being deployed, in place of \`\[agent\] digests\`. Repeatable]:NAME@sha256:HEX:_default' \
'-c+[The configuration]:FILE:_files' \
'--config=[The configuration]:FILE:_files' \
'--fail-on-warn[Exit with 4 when the gate only warns]' \
'--check[Write no Markdown, and exit with 1 when the checklist (or the file that \`--output markdown=\` names) is out of date]' \
'*-v[Say more on stderr; twice for details]' \
'*--verbose[Say more on stderr; twice for details]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
':evidence -- A verdict, as `--format json` wrote it:_files' \
&& ret=0
;;
(diff)
_arguments "${_arguments_options[@]}" : \
'--format=[The form on stdout; without it\: a table on a terminal, JSON otherwise]:FORMAT:((table\:"For people"
json\:"For programs\: \`probe.diff/v1\`"
markdown\:"For a pull request"))' \
'-c+[The configuration]:FILE:_files' \
'--config=[The configuration]:FILE:_files' \
'*-v[Say more on stderr; twice for details]' \
'*--verbose[Say more on stderr; twice for details]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
':old -- The earlier verdict, as `--format json` wrote it:_files' \
':new -- The later one:_files' \
&& ret=0
;;
(verify)
_arguments "${_arguments_options[@]}" : \
'--key=[The public key\: PEM, Ed25519 or ECDSA P-256]:PUB.pem:_files' \
'*--subject=[The artifact that it must be about, by its digest, or by name and digest. Repeatable\: about each of them]:sha256:HEX:_default' \
'--max-age=[How old its verdict may be, such as 24h; without it\: as old as it is]:DURATION:_default' \
'--gate=[The gate that must have passed; without it\: the one that decided the run]:NAME:_default' \
'-c+[The configuration]:FILE:_files' \
'--config=[The configuration]:FILE:_files' \
'--fail-on-warn[Refuse a gate that only warned]' \
'*-v[Say more on stderr; twice for details]' \
'*--verbose[Say more on stderr; twice for details]' \
'-h[Print help]' \
'--help[Print help]' \
':file -- The statement, as `--output intoto=FILE` wrote it:_files' \
&& ret=0
;;
(checklist)
_arguments "${_arguments_options[@]}" : \
'-c+[The configuration]:FILE:_files' \
'--config=[The configuration]:FILE:_files' \
'*-v[Say more on stderr; twice for details]' \
'*--verbose[Say more on stderr; twice for details]' \
'-h[Print help]' \
'--help[Print help]' \
":: :_probe__subcmd__checklist_commands" \
"*::: :->checklist" \
&& ret=0

    case $state in
    (checklist)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:probe-checklist-command-$line[1]:"
        case $line[1] in
            (read)
_arguments "${_arguments_options[@]}" : \
'--format=[The form on stdout; without it\: a table on a terminal, JSON otherwise]:FORMAT:((json\:"For programs"
table\:"For people"))' \
'-c+[The configuration]:FILE:_files' \
'--config=[The configuration]:FILE:_files' \
'*-v[Say more on stderr; twice for details]' \
'*--verbose[Say more on stderr; twice for details]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
':file -- The document:_files' \
&& ret=0
;;
(lock)
_arguments "${_arguments_options[@]}" : \
'-c+[The configuration]:FILE:_files' \
'--config=[The configuration]:FILE:_files' \
'*-v[Say more on stderr; twice for details]' \
'*--verbose[Say more on stderr; twice for details]' \
'-h[Print help]' \
'--help[Print help]' \
':file -- The document:_files' \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
":: :_probe__subcmd__checklist__subcmd__help_commands" \
"*::: :->help" \
&& ret=0

    case $state in
    (help)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:probe-checklist-help-command-$line[1]:"
        case $line[1] in
            (read)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(lock)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
        esac
    ;;
esac
;;
(wait)
_arguments "${_arguments_options[@]}" : \
'--timeout=[How long to wait]:DURATION:_default' \
'--every=[How long to pause between two tries]:DURATION:_default' \
'--url=[The address of a daemon, such as \`http\://127.0.0.1\:9730\`; without it the probes run here]:URL:_default' \
'--token-file=[A file with the token that the daemon wants]:FILE:_files' \
'--ca-file=[The roots (PEM) that the daemon'\''s certificate is checked with; without it those of the system]:FILE:_files' \
'*--select=[Only these probes, and what they depend on\: an id, \`tag\:NAME\`, or an item'\''s id; \`*\` as wildcard. Repeatable]:ID|tag:NAME:_default' \
'--gate=[The gate that decides the exit code; without it all gates do]:NAME:_default' \
'--deadline=[Bounds the whole run, such as 60s; what has not ended by then is unknown]:DURATION:_default' \
'--exit-map=[Use the exit codes of another tool]:MAP:((probe\:"0 pass or warn, 1 fail, 2 usage, 3 unknown, 4 warn with --fail-on-warn"
nagios\:"0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN (also for usage errors)"))' \
'--format=[The form on stdout; without it\: a table on a terminal, JSON otherwise]:FORMAT:((json\:"\`probe.verdict/v1\`"
table\:"For people"
markdown\:"The checklist, written anew"
jsonl\:"One line of JSON an item"
junit\:"\`JUnit\` XML, for Jenkins, GitLab and other CI"
sarif\:"SARIF 2.1.0, for code scanning"
tap\:"Test Anything Protocol, version 14"
nagios\:"The line of a monitoring plugin; on stdout with its exit codes"
prometheus\:"Prometheus text, for the textfile collector"
summary\:"Markdown for a pull request or a job summary"
github\:"Annotations of GitHub Actions"
cdevents\:"Test events of \`CDEvents\`, one line of JSON each"
ohdf\:"OASIS Heimdall data format"
html\:"A page\: one file, for a browser"
intoto\:"A signed in-toto statement, with \`--sign-key\`"))' \
'*--output=[Also write the verdict to a file, whole or not at all; \`-\` is stdout, in place of \`--format\`. Repeatable]:FORMAT=FILE:_default' \
'--checklist=[The checklist in Markdown\: its claims are held against the results, its rows become items]:FILE:_files' \
'--lang=[The language of titles, statuses and reports; without it\: English in tables, a document'\''s own in Markdown]:LANGUAGE:((zh\:"Chinese"
en\:"English"))' \
'--sign-key=[The private key for \`--output intoto=FILE\`\: PEM, PKCS#8, Ed25519 or ECDSA P-256]:KEY.pem:_files' \
'*--subject=[An artifact that is being deployed, in place of \`\[agent\] digests\`. Repeatable]:NAME@sha256:HEX:_default' \
'-c+[The configuration]:FILE:_files' \
'--config=[The configuration]:FILE:_files' \
'--fail-on-warn[Exit with 4 when the gate only warns]' \
'--check[Write no Markdown, and exit with 1 when the checklist (or the file that \`--output markdown=\` names) is out of date]' \
'*-v[Say more on stderr; twice for details]' \
'*--verbose[Say more on stderr; twice for details]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
&& ret=0
;;
(health)
_arguments "${_arguments_options[@]}" : \
'--url=[The address of the daemon]:URL:_default' \
'--ca-file=[The roots (PEM) that its certificate is checked with; without it those of the system]:FILE:_files' \
'-c+[The configuration]:FILE:_files' \
'--config=[The configuration]:FILE:_files' \
'*-v[Say more on stderr; twice for details]' \
'*--verbose[Say more on stderr; twice for details]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(completions)
_arguments "${_arguments_options[@]}" : \
'-c+[The configuration]:FILE:_files' \
'--config=[The configuration]:FILE:_files' \
'*-v[Say more on stderr; twice for details]' \
'*--verbose[Say more on stderr; twice for details]' \
'-h[Print help]' \
'--help[Print help]' \
':shell -- The shell:(bash elvish fish powershell zsh)' \
&& ret=0
;;
(man)
_arguments "${_arguments_options[@]}" : \
'-c+[The configuration]:FILE:_files' \
'--config=[The configuration]:FILE:_files' \
'*-v[Say more on stderr; twice for details]' \
'*--verbose[Say more on stderr; twice for details]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
":: :_probe__subcmd__help_commands" \
"*::: :->help" \
&& ret=0

    case $state in
    (help)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:probe-help-command-$line[1]:"
        case $line[1] in
            (check)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(explain)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(kinds)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(schema)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(init)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(replay)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(diff)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(verify)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(checklist)
_arguments "${_arguments_options[@]}" : \
":: :_probe__subcmd__help__subcmd__checklist_commands" \
"*::: :->checklist" \
&& ret=0

    case $state in
    (checklist)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:probe-help-checklist-command-$line[1]:"
        case $line[1] in
            (read)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(lock)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
(wait)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(health)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(completions)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(man)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
        esac
    ;;
esac
}

(( $+functions[_probe_commands] )) ||
_probe_commands() {
    local commands; commands=(
'check:Validate the configuration\: all errors at once, nothing is probed' \
'explain:Print a kind'\''s facts, rules, privileges and side effects' \
'kinds:List the kinds' \
'schema:Print a JSON Schema' \
'init:Print a commented starter configuration for what the environment suggests' \
'replay:Judge stored evidence again, without any connection' \
'diff:Compare two verdicts\: exit 1 when anything got worse, vanished, or is new and not seen to be good' \
'verify:Check a signed statement\: exit 0 only when its signature, subject, age and gate hold, 1 when one does not' \
'checklist:Read a checklist in Markdown, or freeze who its rows are' \
'wait:Wait until a gate passes\: probe again and again, or ask a daemon. Exit codes are those of a single run' \
'health:Ask whether a daemon lives, whatever its gates say\: 0 when it does, 1 when it does not' \
'completions:Print shell completions' \
'man:Print the manual page' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'probe commands' commands "$@"
}
(( $+functions[_probe__subcmd__check_commands] )) ||
_probe__subcmd__check_commands() {
    local commands; commands=()
    _describe -t commands 'probe check commands' commands "$@"
}
(( $+functions[_probe__subcmd__checklist_commands] )) ||
_probe__subcmd__checklist_commands() {
    local commands; commands=(
'read:Print its items with their claims, its gates, and what is odd about it; nothing is written' \
'lock:Write FILE.md.lock\: rows keep their ids from then on, wherever they are moved and whatever they are called' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'probe checklist commands' commands "$@"
}
(( $+functions[_probe__subcmd__checklist__subcmd__help_commands] )) ||
_probe__subcmd__checklist__subcmd__help_commands() {
    local commands; commands=(
'read:Print its items with their claims, its gates, and what is odd about it; nothing is written' \
'lock:Write FILE.md.lock\: rows keep their ids from then on, wherever they are moved and whatever they are called' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'probe checklist help commands' commands "$@"
}
(( $+functions[_probe__subcmd__checklist__subcmd__help__subcmd__help_commands] )) ||
_probe__subcmd__checklist__subcmd__help__subcmd__help_commands() {
    local commands; commands=()
    _describe -t commands 'probe checklist help help commands' commands "$@"
}
(( $+functions[_probe__subcmd__checklist__subcmd__help__subcmd__lock_commands] )) ||
_probe__subcmd__checklist__subcmd__help__subcmd__lock_commands() {
    local commands; commands=()
    _describe -t commands 'probe checklist help lock commands' commands "$@"
}
(( $+functions[_probe__subcmd__checklist__subcmd__help__subcmd__read_commands] )) ||
_probe__subcmd__checklist__subcmd__help__subcmd__read_commands() {
    local commands; commands=()
    _describe -t commands 'probe checklist help read commands' commands "$@"
}
(( $+functions[_probe__subcmd__checklist__subcmd__lock_commands] )) ||
_probe__subcmd__checklist__subcmd__lock_commands() {
    local commands; commands=()
    _describe -t commands 'probe checklist lock commands' commands "$@"
}
(( $+functions[_probe__subcmd__checklist__subcmd__read_commands] )) ||
_probe__subcmd__checklist__subcmd__read_commands() {
    local commands; commands=()
    _describe -t commands 'probe checklist read commands' commands "$@"
}
(( $+functions[_probe__subcmd__completions_commands] )) ||
_probe__subcmd__completions_commands() {
    local commands; commands=()
    _describe -t commands 'probe completions commands' commands "$@"
}
(( $+functions[_probe__subcmd__diff_commands] )) ||
_probe__subcmd__diff_commands() {
    local commands; commands=()
    _describe -t commands 'probe diff commands' commands "$@"
}
(( $+functions[_probe__subcmd__explain_commands] )) ||
_probe__subcmd__explain_commands() {
    local commands; commands=()
    _describe -t commands 'probe explain commands' commands "$@"
}
(( $+functions[_probe__subcmd__health_commands] )) ||
_probe__subcmd__health_commands() {
    local commands; commands=()
    _describe -t commands 'probe health commands' commands "$@"
}
(( $+functions[_probe__subcmd__help_commands] )) ||
_probe__subcmd__help_commands() {
    local commands; commands=(
'check:Validate the configuration\: all errors at once, nothing is probed' \
'explain:Print a kind'\''s facts, rules, privileges and side effects' \
'kinds:List the kinds' \
'schema:Print a JSON Schema' \
'init:Print a commented starter configuration for what the environment suggests' \
'replay:Judge stored evidence again, without any connection' \
'diff:Compare two verdicts\: exit 1 when anything got worse, vanished, or is new and not seen to be good' \
'verify:Check a signed statement\: exit 0 only when its signature, subject, age and gate hold, 1 when one does not' \
'checklist:Read a checklist in Markdown, or freeze who its rows are' \
'wait:Wait until a gate passes\: probe again and again, or ask a daemon. Exit codes are those of a single run' \
'health:Ask whether a daemon lives, whatever its gates say\: 0 when it does, 1 when it does not' \
'completions:Print shell completions' \
'man:Print the manual page' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'probe help commands' commands "$@"
}
(( $+functions[_probe__subcmd__help__subcmd__check_commands] )) ||
_probe__subcmd__help__subcmd__check_commands() {
    local commands; commands=()
    _describe -t commands 'probe help check commands' commands "$@"
}
(( $+functions[_probe__subcmd__help__subcmd__checklist_commands] )) ||
_probe__subcmd__help__subcmd__checklist_commands() {
    local commands; commands=(
'read:Print its items with their claims, its gates, and what is odd about it; nothing is written' \
'lock:Write FILE.md.lock\: rows keep their ids from then on, wherever they are moved and whatever they are called' \
    )
    _describe -t commands 'probe help checklist commands' commands "$@"
}
(( $+functions[_probe__subcmd__help__subcmd__checklist__subcmd__lock_commands] )) ||
_probe__subcmd__help__subcmd__checklist__subcmd__lock_commands() {
    local commands; commands=()
    _describe -t commands 'probe help checklist lock commands' commands "$@"
}
(( $+functions[_probe__subcmd__help__subcmd__checklist__subcmd__read_commands] )) ||
_probe__subcmd__help__subcmd__checklist__subcmd__read_commands() {
    local commands; commands=()
    _describe -t commands 'probe help checklist read commands' commands "$@"
}
(( $+functions[_probe__subcmd__help__subcmd__completions_commands] )) ||
_probe__subcmd__help__subcmd__completions_commands() {
    local commands; commands=()
    _describe -t commands 'probe help completions commands' commands "$@"
}
(( $+functions[_probe__subcmd__help__subcmd__diff_commands] )) ||
_probe__subcmd__help__subcmd__diff_commands() {
    local commands; commands=()
    _describe -t commands 'probe help diff commands' commands "$@"
}
(( $+functions[_probe__subcmd__help__subcmd__explain_commands] )) ||
_probe__subcmd__help__subcmd__explain_commands() {
    local commands; commands=()
    _describe -t commands 'probe help explain commands' commands "$@"
}
(( $+functions[_probe__subcmd__help__subcmd__health_commands] )) ||
_probe__subcmd__help__subcmd__health_commands() {
    local commands; commands=()
    _describe -t commands 'probe help health commands' commands "$@"
}
(( $+functions[_probe__subcmd__help__subcmd__help_commands] )) ||
_probe__subcmd__help__subcmd__help_commands() {
    local commands; commands=()
    _describe -t commands 'probe help help commands' commands "$@"
}
(( $+functions[_probe__subcmd__help__subcmd__init_commands] )) ||
_probe__subcmd__help__subcmd__init_commands() {
    local commands; commands=()
    _describe -t commands 'probe help init commands' commands "$@"
}
(( $+functions[_probe__subcmd__help__subcmd__kinds_commands] )) ||
_probe__subcmd__help__subcmd__kinds_commands() {
    local commands; commands=()
    _describe -t commands 'probe help kinds commands' commands "$@"
}
(( $+functions[_probe__subcmd__help__subcmd__man_commands] )) ||
_probe__subcmd__help__subcmd__man_commands() {
    local commands; commands=()
    _describe -t commands 'probe help man commands' commands "$@"
}
(( $+functions[_probe__subcmd__help__subcmd__replay_commands] )) ||
_probe__subcmd__help__subcmd__replay_commands() {
    local commands; commands=()
    _describe -t commands 'probe help replay commands' commands "$@"
}
(( $+functions[_probe__subcmd__help__subcmd__schema_commands] )) ||
_probe__subcmd__help__subcmd__schema_commands() {
    local commands; commands=()
    _describe -t commands 'probe help schema commands' commands "$@"
}
(( $+functions[_probe__subcmd__help__subcmd__verify_commands] )) ||
_probe__subcmd__help__subcmd__verify_commands() {
    local commands; commands=()
    _describe -t commands 'probe help verify commands' commands "$@"
}
(( $+functions[_probe__subcmd__help__subcmd__wait_commands] )) ||
_probe__subcmd__help__subcmd__wait_commands() {
    local commands; commands=()
    _describe -t commands 'probe help wait commands' commands "$@"
}
(( $+functions[_probe__subcmd__init_commands] )) ||
_probe__subcmd__init_commands() {
    local commands; commands=()
    _describe -t commands 'probe init commands' commands "$@"
}
(( $+functions[_probe__subcmd__kinds_commands] )) ||
_probe__subcmd__kinds_commands() {
    local commands; commands=()
    _describe -t commands 'probe kinds commands' commands "$@"
}
(( $+functions[_probe__subcmd__man_commands] )) ||
_probe__subcmd__man_commands() {
    local commands; commands=()
    _describe -t commands 'probe man commands' commands "$@"
}
(( $+functions[_probe__subcmd__replay_commands] )) ||
_probe__subcmd__replay_commands() {
    local commands; commands=()
    _describe -t commands 'probe replay commands' commands "$@"
}
(( $+functions[_probe__subcmd__schema_commands] )) ||
_probe__subcmd__schema_commands() {
    local commands; commands=()
    _describe -t commands 'probe schema commands' commands "$@"
}
(( $+functions[_probe__subcmd__verify_commands] )) ||
_probe__subcmd__verify_commands() {
    local commands; commands=()
    _describe -t commands 'probe verify commands' commands "$@"
}
(( $+functions[_probe__subcmd__wait_commands] )) ||
_probe__subcmd__wait_commands() {
    local commands; commands=()
    _describe -t commands 'probe wait commands' commands "$@"
}

if [ "$funcstack[1]" = "_probe" ]; then
    _probe "$@"
else
    compdef _probe probe
fi
