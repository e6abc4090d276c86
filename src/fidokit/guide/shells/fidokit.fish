# Completion of fidokit for fish. `fidokit completion --install` puts it where fish finds it.
function __fidokit_complete
    set -l program (commandline -opc)[1]
    string match -q -r '(^|/)fidokit$' -- "$program"; or set program fidokit
    string match -q -- '~/*' $program; and set program $HOME(string sub -s 2 -- $program)
    type -q $program; or return
    for line in (_FIDOKIT_COMPLETE=fish $program (commandline -cp | string collect) 2>/dev/null </dev/null)
        switch $line
            case \t'*'
                set -l parts (string split \t -- $line)
                set -l word (string replace -- "$parts[3]" '' (commandline -ct))
                if test $parts[2] = folders
                    __fish_complete_directories $word '' | string replace -r '^' -- "$parts[3]"
                else
                    __fish_complete_path $word | string replace -r '^' -- "$parts[3]"
                end
            case '*'
                echo $line
        end
    end
end
complete -c fidokit -f -a '(__fidokit_complete)'
