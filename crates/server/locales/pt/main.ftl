# O que as pessoas leem. Frases curtas, palavras simples, sem jargão.

brand = Countersign
skip-to-content = Ir para o conteúdo
nav-account = Seus dispositivos
nav-code = Digitar um código
sign-out = Sair
signed-in-as = Você entrou como { $name }

language-label = Idioma
language-button = Alterar

device-title = Conectar um dispositivo
device-lead = Digite o código que aparece no seu dispositivo ou na linha de comando.
device-label = Código
device-help = Letras maiúsculas, espaços e traços não fazem diferença.
device-continue = Continuar
device-prefilled = Este código já veio preenchido. Só continue se o mesmo código aparecer em um dispositivo à sua frente.
device-type-it = Para este dispositivo, um link não serve. Digite o código que aparece na tela dele.
device-wrong = Este código não está certo ou expirou. Confira a tela do seu dispositivo ou comece de novo por lá.

login-title = Entrar
login-lead = Entre para conectar um dispositivo.
login-again = Por favor, entre de novo para continuar. O que foi pedido só é possível logo depois de entrar.
login-username = Nome de usuário
login-password = Senha
login-submit = Entrar
login-wrong = Nome de usuário ou senha incorretos.
login-signed-out = Você saiu da sua conta.

upstream-button = Entrar com { $provider }
upstream-cancelled = A sua entrada por lá não foi concluída. Tente de novo ou escolha outra forma.
upstream-wrong = A resposta que veio de lá não pôde ser usada. Tente de novo.
upstream-not-allowed = A conta que você tem lá não pode ser usada aqui. Fale com quem administra este serviço.
upstream-too-weak = A forma como você entrou lá não basta aqui. Entre lá com uma segunda etapa de verificação e tente de novo.
upstream-not-fresh = Lá não pediram que você se identificasse. Saia da sua conta lá e tente de novo.
upstream-unreachable = O outro serviço está inacessível no momento. Tente de novo daqui a pouco ou escolha outra forma.
upstream-not-linked = Não foi possível adicionar esta forma de entrar: ela já pertence a uma conta, ou faz tempo demais que você entrou aqui ou lá.

second-title = Mais uma etapa
second-text = Sua senha está certa. Agora, o código que aparece no seu app autenticador.
second-text-passkey = Sua senha está certa. Agora, a sua chave de acesso ou um código.
second-label = Código
second-recovery = Se estiver sem o telefone, use um dos seus códigos de recuperação.
second-submit = Entrar
second-wrong = Este código não está certo ou já foi usado. Espere o próximo ou tente um código de recuperação.

totp-title = Configurar um app autenticador
totp-demanded = Sua conta precisa de uma segunda etapa de verificação antes de continuar.
totp-text = Leia este código QR com um app autenticador no seu telefone. A partir daí, você entra com a sua senha e o código que o app mostra.
totp-qr = Código QR para o seu app autenticador
totp-here = Abrir em um app neste dispositivo
totp-typed = Ou digite isto no app:
totp-label = Código que o app mostra
totp-submit = Ativar
totp-wrong = Este código não está certo. O relógio do seu telefone está certo? Tente o próximo código.

passkey-title = Adicionar uma chave de acesso
passkey-text = Ela fica guardada no seu telefone, computador ou chave de segurança e é liberada com o desbloqueio de sempre. Com ela, você entra sem a senha.
passkey-name = Nome da chave de acesso
passkey-name-default = Chave de acesso
passkey-submit = Adicionar chave de acesso
passkey-failed = Seu navegador não criou uma chave de acesso. A criação foi cancelada ou já existe uma?
passkey-wrong = O que o seu navegador enviou não pôde ser usado. Tente de novo.
passkey-script = As chaves de acesso precisam de JavaScript, que está desativado aqui.
passkey-login-title = Entrar com uma chave de acesso
passkey-login-text = Seu navegador vai pedir a chave de acesso que você adicionou à sua conta.
passkey-login-submit = Usar chave de acesso
passkey-login-failed = Seu navegador não respondeu. O pedido foi cancelado ou não há chave de acesso neste dispositivo?
passkey-login-wrong = Esta chave de acesso não está certa ou foi removida. Entre de outra forma.
passkey-login-link = Entrar com uma chave de acesso
passkey-login-password = Entrar com a senha

recovery-title = Seus códigos de recuperação
recovery-text = Se um dia você perder o que usa para entrar, cada um destes códigos serve uma vez, depois da senha. Imprima os códigos ou guarde-os onde você guarda as suas senhas.
recovery-once = Eles só aparecem desta vez. Os antigos não funcionam mais.
recovery-go-on = Já guardei os códigos

confirm-title = Conectar este dispositivo?
confirm-lead = { $client } quer usar a sua conta, { $name }.
confirm-pair-lead = O dispositivo “{ $device }” quer ser emparelhado com a sua conta, { $name }.
confirm-pair-device = Dispositivo
confirm-pair-version = Versão
confirm-pair-id = ID do dispositivo
confirm-pair-replaces = Ele toma o lugar do seu dispositivo “{ $device }”, emparelhado em { $day }, que será desconectado.
foreign-title = Você não pode emparelhar este dispositivo
foreign-text = Este dispositivo pertence a outra conta. Primeiro, ele precisa ser removido de lá. Nada foi alterado.
scope-operator-read = receber o que você enviar para ele e ver o que você pode ver lá
confirm-key-lead = { $client } quer uma chave de API para a sua conta, { $name }.
confirm-key-lead-nobody = Uma linha de comando quer uma chave de API para a sua conta, { $name }.
confirm-key-name = Nome da chave
confirm-key-lifetime = Validade
confirm-key-seconds = { $n ->
    [one] { $n } segundo, a menos que você revogue a chave antes
   *[other] { $n } segundos, a menos que você revogue a chave antes
}
confirm-key-minutes = { $n ->
    [one] { $n } minuto, a menos que você revogue a chave antes
   *[other] { $n } minutos, a menos que você revogue a chave antes
}
confirm-key-hours = { $n ->
    [one] { $n } hora, a menos que você revogue a chave antes
   *[other] { $n } horas, a menos que você revogue a chave antes
}
confirm-key-days = { $n ->
    [one] { $n } dia, a menos que você revogue a chave antes
   *[other] { $n } dias, a menos que você revogue a chave antes
}
key-scopes-none = agir em seu nome, onde quer que as chaves de API deste serviço sejam aceitas
quoted = “{ $name }”
command-line = A linha de comando
confirm-code-label = Código no dispositivo
confirm-code-help = Precisa ser igual, letra por letra.
confirm-scopes = Se você aprovar, o dispositivo poderá:
confirm-asked = Pedido feito
confirm-from = Origem
confirm-with = Programa
confirm-warning-link = Você não digitou este código nesta página. Se ele chegou por um link que alguém enviou a você, recuse: é assim que as pessoas são enganadas. Ninguém do suporte jamais vai pedir que você aprove um dispositivo.
confirm-warning = Alguém enviou este código ou este link a você? Então recuse. Ninguém do suporte jamais vai pedir que você aprove um dispositivo.
confirm-hint = O dispositivo pediu a conta { $hint }, mas você entrou como { $name }.
confirm-hint-other = O dispositivo pediu outra conta, mas você entrou como { $name }.
confirm-elsewhere = Este pedido veio de uma rede que não é a sua: veio de { $there }, e você está em { $here }. Se esse dispositivo não está à sua frente, recuse.
confirm-elsewhere-country = País de onde veio este pedido: { $there }. País onde você está: { $here }. Se esse dispositivo não está à sua frente, recuse.
elsewhere-title = Pedido feito de outro lugar
elsewhere-text = Este pedido veio de um lugar diferente do seu, e quem administra este serviço não permite isso. Nada foi conectado. Se o dispositivo está à sua frente, use a mesma rede nele e aqui.
confirm-own = Fui eu que comecei isto, em um dispositivo à minha frente
confirm-own-missing = Marque a caixa se foi você que começou isto. Se não foi, escolha “Recusar”.
confirm-app-title = Conectar este programa?
confirm-returns = A resposta vai para
confirm-returns-help = Você volta para lá neste navegador.
confirm-app-own = Eu mesmo comecei isto, neste navegador
authorize-refused-title = Este link não funciona
authorize-refused-client = O programa que enviou você para cá não é conhecido ou não pode perguntar desta forma. Nada foi conectado.
authorize-refused-redirect = O programa quer receber a resposta em um endereço que não está registrado para ele. Nada foi conectado.
authorize-refused-expired = Este pedido expirou ou já foi respondido. Volte ao programa e comece de novo por lá.
confirm-approve = Aprovar
confirm-deny = Recusar

scope-openid = saber que é você
scope-profile = ver o seu nome
scope-email = ver o seu endereço de e-mail
scope-offline = manter a conexão até você desconectar
scope-introspect = verificar se outras conexões ainda são válidas
scope-admin = administrar este servidor: ver e mudar tudo
scope-devices = conectar e desconectar dispositivos e chaves de API em seu nome
scope-other = usar “{ $scope }”
scopes-none = apenas saber que você aprovou

age-now = agora mesmo
age-seconds = { $n ->
    [one] há { $n } segundo
   *[other] há { $n } segundos
}
age-minutes = { $n ->
    [one] há { $n } minuto
   *[other] há { $n } minutos
}
age-hours = { $n ->
    [one] há { $n } hora
   *[other] há { $n } horas
}
unknown = desconhecido

approved-title = Dispositivo conectado
approved-text = { $client } se conectou à sua conta. Você pode voltar ao dispositivo.
pin-title = Mais uma etapa no dispositivo
pin-text = { $client } recebeu a sua aprovação. Agora digite este PIN no dispositivo: só então a conexão é feita.
pin-label = PIN
pin-help = Dois dígitos, só para este dispositivo.
pin-warning = Só você deve digitar o PIN. Se alguém pedir o PIN, não o diga e desfaça a aprovação.
denied-title = Pedido recusado
denied-text = { $client } não se conectou e não recebeu nada.
undo-question = Não foi você, ou foi um engano?
undo-button = Não fui eu: desfazer
undone-title = Desfeito
undone-text = A aprovação foi desfeita: tudo o que veio dela foi desconectado e revogado. Se alguém convenceu você a fazer isso, avise quem administra este serviço.
undo-nothing-title = Nada para desfazer
undo-nothing-text = Não há aqui nenhuma aprovação sua para desfazer.
late-title = Tarde demais
late-text = Este pedido expirou ou alguém já decidiu sobre ele. Nada foi alterado. Comece de novo no dispositivo.
lost-title = Digite o código de novo
lost-text = Esta página foi aberta antes de você entrar. Por favor, digite o código mais uma vez.

revoke-title = Desconectar este dispositivo?
revoke-lead = O dispositivo “{ $device }” está conectado à conta { $name }. Se não foi você, desconecte-o.
revoke-button = Desconectar
revoke-done-title = Desconectado
revoke-ended-title = Nada para desconectar
revoke-ended-text = Este link já foi usado, o prazo dele acabou ou o dispositivo não está mais conectado. Seus dispositivos estão na sua conta.

mail-subject = Novo dispositivo: { $device }
mail-hello = Olá, { $name },
mail-connected = O dispositivo “{ $device }” foi conectado à sua conta.
mail-was-you = Se foi você, não precisa fazer nada.
mail-was-not-you = Se não foi, abra este link e desconecte o dispositivo:
mail-from = Mensagem enviada por { $server }.

account-title = Seus dispositivos
account-lead = Tudo o que você conectou. Desconecte o que não conhece ou não usa mais.
account-none = Ainda não há nada conectado.
account-connect = Conectar um dispositivo
account-connected = Data da conexão
account-kind-key = chave de API
account-sign-in-title = Como você entra
account-totp-off = Uma chave de acesso ou um app autenticador impede que outras pessoas entrem, mesmo que descubram a sua senha.
account-lately = { $client } se conectou à sua conta em { $when }, a partir de { $address }.
undo-one = Não fui eu: desconectar { $client }
account-sessions-title = Onde você entrou na sua conta
account-session-own = este navegador
account-session-since = Entrou em
account-session-end = Sair desse navegador
account-session-end-one = Sair do navegador onde você entrou em { $when }
account-session-end-all = Sair de todos os outros navegadores
account-session-ended = Você saiu desse navegador.
account-sessions-ended = Você saiu de todos os outros navegadores.
account-session-missing = A sua conta já não está aberta nesse navegador.
account-password-title = Alterar a senha
account-password-new = Nova senha
account-password-help = Pelo menos 8 caracteres. Você sairá de todos os outros navegadores.
account-password-button = Alterar
account-password-changed = Sua senha foi alterada.
account-password-unfit = A senha precisa ter pelo menos 8 caracteres e no máximo 1.024 bytes.
account-linked = Você pode entrar com { $provider }.
account-link = Entrar também com { $provider }
account-unlink = Remover
account-unlink-one = Não entrar mais com { $provider }
account-unlinked = Essa forma de entrar foi removida. Você não entra mais com ela.
account-unlink-last = Nada foi alterado: sem essa forma de entrar, você não conseguiria mais acessar a sua conta.
account-totp-begin = Configurar um app autenticador
account-totp-on = Há um app autenticador desde { $when }.
account-recovery-left = { $n ->
    [0] Não resta nenhum código de recuperação.
    [one] Resta { $n } código de recuperação.
   *[other] Restam { $n } códigos de recuperação.
}
account-recovery-new = Criar novos códigos de recuperação
account-totp-remove = Desativar o app
account-totp-removed = O app autenticador está desativado.
account-passkey-begin = Adicionar uma chave de acesso
account-kind-passkey = chave de acesso
account-passkey-added = Adicionada em
account-passkey-remove = Remover
account-passkey-remove-one = Remover a chave de acesso { $name }
account-passkey-removed = A chave de acesso foi removida. Você também pode apagá-la no seu dispositivo.
account-rename = Renomear
account-renamed = O nome foi alterado.
account-online = online
account-offline = sem conexão agora
account-node = Dispositivo
account-endless = quando você desconectar
account-ends = Termina
account-leaked = A chave { $name } foi encontrada onde não deveria estar e foi revogada em { $when }. Se um programa seu usava essa chave, conecte esse programa de novo.
account-cli-title = Conectar uma linha de comando
account-cli-text = Se a linha de comando não puder mostrar um código, peça um aqui e digite-o lá.
account-cli-button = Mostrar um código
account-never = ainda não
account-key-title = Criar uma chave de API
account-key-text = Para um programa que você configura manualmente. A chave pode fazer o que você pode, onde quer que as chaves de API deste serviço sejam aceitas.
account-key-name = Nome
account-key-name-wrong = O nome precisa ter de 1 a 100 caracteres visíveis.
account-key-button = Criar chave
key-title = Sua nova chave de API
key-lead = A chave “{ $name }” vale até { $when }. Ela só aparece desta vez: copie-a agora.
key-warning = Quem tiver esta chave pode agir em seu nome. Ninguém do suporte jamais vai pedir esta chave a você.
connect-title = Conectar uma linha de comando
connect-lead = Digite isto na sua linha de comando:
connect-code = Código
connect-left = O código só pode ser usado uma vez. Ele expira em
connect-warning = Quem tiver este código recebe uma chave de API para a sua conta. Só você deve digitar o código. Não o passe a ninguém.
connect-check = Ver se já foi usado
connect-withdraw = Cancelar este código
connect-used-title = Linha de comando conectada
connect-used = Seu código foi usado em { $when }, a partir de { $address }. Programa: { $program }.
connect-used-ended = Seu código foi usado. A chave criada com ele já não vale mais.
connect-over-title = Este código não vale mais
connect-over = Ninguém mais pode usá-lo.
account-used = Último uso
account-from = Origem
account-may = Pode
account-revoke = Desconectar
account-revoke-one = Desconectar { $name }, conexão de { $when }
account-revoke-all = Desconectar tudo
account-revoke-all-text = Depois disso, cada um dos seus dispositivos precisa ser conectado de novo.
account-revoked = O dispositivo foi desconectado.
account-revoked-all = Tudo foi desconectado.
account-revoke-missing = Este dispositivo não está mais conectado.
account-ended = Não estão mais conectados
status-active = conectado
status-expired = expirado
status-revoked = desconectado

logout-title = Sair da conta?
logout-text = Seus dispositivos continuam conectados.

error-form-title = Não deu certo
error-form-text = Não foi possível ler o formulário: { $why }.
error-forged-title = Por favor, tente de novo
error-forged-text = Esta página ficou aberta por tempo demais, você entrou em outra página nesse meio-tempo ou o seu navegador não guarda cookies. Volte, carregue a página de novo e repita o que fez.
error-limited-title = Tentativas demais
error-limited-text = { $n ->
    [one] Por favor, espere { $n } segundo e tente de novo.
   *[other] Por favor, espere { $n } segundos e tente de novo.
}
error-limited-minutes = { $n ->
    [one] Por favor, espere { $n } minuto e tente de novo.
   *[other] Por favor, espere { $n } minutos e tente de novo.
}
error-busy-title = Muito movimento
error-busy-text = Há pessoas demais entrando neste momento. Por favor, tente de novo daqui a pouco.
error-away-title = Um momento
error-away-text = Este serviço não consegue acessar os próprios dados agora. Por favor, tente de novo daqui a pouco.
error-missing-title = Página não encontrada
error-missing-text = Não há nada aqui. Se o seu dispositivo mostra um código, escolha “Digitar um código”.
error-fault-title = Algo deu errado
error-fault-text = A falha é nossa, não sua. Por favor, tente de novo. Se continuar, informe este número a quem administra este serviço: { $id }
