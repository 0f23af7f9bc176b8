# SPDX-License-Identifier: GPL-3.0-or-later
# fish completion for gateshift's commands: options from "CMD --long-options", names of gateways,
# volumes and migrations from the folders that the command line being typed would use.

# __gateshift_folder --config|--state DEFAULT
function __gateshift_folder
    set -l words (commandline -opc)
    for i in (seq (count $words))
        if test "$words[$i]" = "$argv[1]"; and test $i -lt (count $words)
            echo $words[(math $i + 1)]
            return
        end
        if string match -q -- "$argv[1]=*" "$words[$i]"
            string replace -- "$argv[1]=" '' "$words[$i]"
            return
        end
    end
    echo $argv[2]
end

function __gateshift_config
    set -q GATESHIFT_CONFIG[1]; and set -l default $GATESHIFT_CONFIG; or set -l default /etc/gateshift
    __gateshift_folder --config $default
end

function __gateshift_state
    set -q GATESHIFT_STATE[1]; and set -l default $GATESHIFT_STATE; or set -l default /var/lib/gateshift
    __gateshift_folder --state $default
end

# __gateshift_column volume|gateway: of the file of that name (names need no quotes in CSV).
function __gateshift_column
    awk -F, -v name=$argv[1] '
        { sub(/\r$/, "") }
        NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) column = i; next }
        column && $column != "" { print $column }' (__gateshift_config)/$argv[1]s.csv 2>/dev/null
end

function __gateshift_gateways
    __gateshift_column gateway
end

function __gateshift_volumes
    begin
        __gateshift_column volume
        route-set --state (__gateshift_state) 2>/dev/null | sed '1d; s/,.*//'
    end | sort -u
end

function __gateshift_migrations
    for file in (__gateshift_state)/migrations/*.csv
        string replace -r '.*/(.*)\.csv$' '$1' $file
    end
end

# How many arguments that are no options stand before the word being typed.  An option's value, given
# as the next word, is none.
function __gateshift_position
    set -l words (commandline -opc)
    set -l takes ($words[1] --long-options 2>/dev/null | string match -- '*=')
    set -l n 0
    for i in (seq 2 (count $words))
        set -l before (math $i - 1)
        string match -q -- '-*' $words[$i]; or contains -- $words[$before]= $takes
        or set n (math $n + 1)
    end
    echo $n
end

function __gateshift_is_at
    test (__gateshift_position) -eq $argv[1]
end

# Does one of these options stand there?
function __gateshift_has
    set -l words (commandline -opc)
    for option in $argv
        contains -- $option $words; and return 0
    end
    return 1
end

function __gateshift_on_migration
    __gateshift_has --abort --commit --cutover --missing --modify --resume --revert --status
end

# One line an option: its name, and -r if it takes a value; folders and names where that is known.
function __gateshift_options
    for option in ($argv[1] --long-options 2>/dev/null)
        set -l name (string replace -r '^--([^=]*)=?$' '$1' -- $option)
        switch "$argv[1]:$option"
            case '*:--config=' '*:--state=' '*:--run=' '*:--record=' '*:--replay='
                complete -c $argv[1] -l $name -x -a '(__fish_complete_directories)'
            case 'affinity-profile:--explain=' '*:--volume='
                complete -c $argv[1] -l $name -x -a '(__gateshift_volumes)'
            case 'migrate-plan:--drain='
                complete -c $argv[1] -l $name -x -a '(__gateshift_gateways)'
            case '*='
                complete -c $argv[1] -l $name -r
            case '*'
                complete -c $argv[1] -l $name
        end
    end
end

for command in affinity-profile gateway-probe health-score migrate-console migrate-exec \
        migrate-plan migrate-replay route-director route-set
    command -q $command; and __gateshift_options $command
end
complete -c route-set -f -n '__gateshift_is_at 0' -a '(__gateshift_volumes)'
complete -c route-set -f -n '__gateshift_is_at 1' -a '(__gateshift_gateways)'
complete -c gateway-probe -f -a '(__gateshift_gateways)'
complete -c route-director -f -n '__gateshift_has --status --stats' -a '(__gateshift_volumes)'
complete -c migrate-exec -n '__gateshift_has --check' -a '(__gateshift_volumes)'
complete -c migrate-exec -f -n __gateshift_on_migration -a '(__gateshift_migrations)'
