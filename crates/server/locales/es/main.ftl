# Lo que lee la gente. Frases cortas, palabras sencillas, nada de jerga.

brand = Countersign
skip-to-content = Ir al contenido
nav-account = Tus dispositivos
nav-code = Escribir un código
sign-out = Cerrar sesión
signed-in-as = Sesión iniciada como { $name }

language-label = Idioma
language-button = Cambiar

device-title = Conectar un dispositivo
device-lead = Escribe el código que aparece en tu dispositivo o en tu línea de comandos.
device-label = Código
device-help = No importa si usas mayúsculas, espacios o guiones.
device-continue = Continuar
device-prefilled = Este código ya venía escrito. Continúa solo si el mismo código aparece en un dispositivo que tengas delante.
device-type-it = Con este dispositivo no sirven los enlaces. Escribe el código que aparece en su pantalla.
device-wrong = Este código no es correcto o ya caducó. Mira la pantalla de tu dispositivo o empieza de nuevo allí.

login-title = Iniciar sesión
login-lead = Inicia sesión para conectar un dispositivo.
login-again = Vuelve a iniciar sesión para continuar. Para lo que se pidió, hace falta un inicio de sesión reciente.
login-username = Nombre de usuario
login-password = Contraseña
login-submit = Iniciar sesión
login-wrong = El nombre de usuario o la contraseña no son correctos.
login-signed-out = La sesión está cerrada.

upstream-button = Iniciar sesión con { $provider }
upstream-cancelled = No se inició sesión allí. Inténtalo de nuevo o elige otra forma.
upstream-wrong = No se pudo usar la respuesta que llegó. Inténtalo de nuevo.
upstream-not-allowed = La cuenta que tienes allí no se puede usar aquí. Pregunta a quien administra este servicio.
upstream-too-weak = La forma en que iniciaste sesión allí no basta aquí. Inicia sesión allí con un segundo factor y luego inténtalo de nuevo.
upstream-not-fresh = Allí no te pidieron demostrar quién eres. Cierra sesión allí y luego inténtalo de nuevo.
upstream-unreachable = Ahora mismo no hay conexión con ese servicio. Inténtalo de nuevo en un momento o elige otra forma.
upstream-not-linked = No se pudo agregar: ya pertenece a una cuenta, o tu inicio de sesión aquí o allí era demasiado antiguo.

second-title = Un paso más
second-text = Tu contraseña es correcta. Ahora escribe el código que muestra tu app de autenticación.
second-text-passkey = Tu contraseña es correcta. Ahora usa tu llave de acceso o un código.
second-label = Código
second-recovery = Si no tienes tu teléfono, sirve uno de tus códigos de recuperación.
second-submit = Iniciar sesión
second-wrong = Este código no es correcto o ya se usó. Espera al siguiente o prueba con un código de recuperación.

totp-title = Configurar una app de autenticación
totp-demanded = Antes de continuar, tu cuenta necesita un segundo factor.
totp-text = Escanea esto con una app de autenticación en tu teléfono. A partir de entonces, iniciarás sesión con tu contraseña y el código que muestre la app.
totp-qr = Código QR para tu app de autenticación
totp-here = Abrirlo en una app de este dispositivo
totp-typed = O escribe esto en la app:
totp-label = Código que muestra la app
totp-submit = Activar
totp-wrong = Este código no es correcto. ¿Está bien la hora de tu teléfono? Prueba con el siguiente.

passkey-title = Agregar una llave de acceso
passkey-text = La guarda tu teléfono, tu computadora o tu llave de seguridad, y se desbloquea igual que ese aparato. Con ella inicias sesión sin tu contraseña.
passkey-name = Nombre de la llave de acceso
passkey-name-default = Llave de acceso
passkey-submit = Agregar una llave de acceso
passkey-failed = Tu navegador no creó ninguna. ¿Se canceló, o ya hay una?
passkey-wrong = No se pudo usar lo que envió tu navegador. Inténtalo de nuevo.
passkey-script = Las llaves de acceso necesitan JavaScript, y aquí está desactivado.
passkey-login-title = Iniciar sesión con una llave de acceso
passkey-login-text = Tu navegador te pide la llave de acceso que agregaste a tu cuenta.
passkey-login-submit = Usar una llave de acceso
passkey-login-failed = Tu navegador no respondió. ¿Se canceló, o no hay ninguna llave de acceso en este dispositivo?
passkey-login-wrong = Esta llave de acceso no es correcta o se quitó. Inicia sesión de otra forma.
passkey-login-link = Iniciar sesión con una llave de acceso
passkey-login-password = Iniciar sesión con tu contraseña

recovery-title = Tus códigos de recuperación
recovery-text = Si alguna vez pierdes lo que usas para iniciar sesión, cada uno de estos códigos sirve en su lugar una sola vez, después de tu contraseña. Imprímelos o guárdalos donde guardas tus contraseñas.
recovery-once = Solo se muestran esta vez. Los anteriores ya no sirven.
recovery-go-on = Ya los guardé

confirm-title = ¿Conectar este dispositivo?
confirm-lead = { $client } quiere usar tu cuenta, { $name }.
confirm-pair-lead = «{ $device }» quiere vincularse con tu cuenta, { $name }.
confirm-pair-device = Dispositivo
confirm-pair-version = Versión
confirm-pair-id = ID del dispositivo
confirm-pair-replaces = Ocupará el lugar de tu dispositivo «{ $device }», vinculado el { $day }, que quedará desconectado.
foreign-title = No puedes vincular este dispositivo
foreign-text = Este dispositivo pertenece a otra cuenta. Primero hay que quitarlo de allí. No se cambió nada.
scope-operator-read = recibir lo que le envíes y ver lo que tú puedes ver allí
confirm-key-lead = { $client } quiere una clave de API para tu cuenta, { $name }.
confirm-key-lead-nobody = Una línea de comandos quiere una clave de API para tu cuenta, { $name }.
confirm-key-name = Nombre de la clave
confirm-key-lifetime = Dura
confirm-key-seconds = { $n ->
    [one] { $n } segundo, salvo que la anules antes
   *[other] { $n } segundos, salvo que la anules antes
}
confirm-key-minutes = { $n ->
    [one] { $n } minuto, salvo que la anules antes
   *[other] { $n } minutos, salvo que la anules antes
}
confirm-key-hours = { $n ->
    [one] { $n } hora, salvo que la anules antes
   *[other] { $n } horas, salvo que la anules antes
}
confirm-key-days = { $n ->
    [one] { $n } día, salvo que la anules antes
   *[other] { $n } días, salvo que la anules antes
}
key-scopes-none = actuar en tu nombre en cualquier sitio donde se acepten las claves de API de este servicio
quoted = «{ $name }»
command-line = La línea de comandos
confirm-code-label = Código en el dispositivo
confirm-code-help = Tiene que ser el mismo, letra por letra.
confirm-scopes = Si apruebas, podrá:
confirm-asked = Se pidió
confirm-from = Desde dónde
confirm-with = Programa
confirm-warning-link = Tú no escribiste este código en esta página. Si te llegó en un enlace que alguien te envió, elige «Rechazar»: así es como engañan a la gente. Nadie del servicio de soporte te pedirá nunca que apruebes un dispositivo.
confirm-warning = ¿Alguien te envió este código o este enlace? Entonces elige «Rechazar». Nadie del servicio de soporte te pedirá nunca que apruebes un dispositivo.
confirm-hint = El dispositivo pidió la cuenta { $hint }, pero tú iniciaste sesión como { $name }.
confirm-hint-other = El dispositivo pidió otra cuenta, pero tú iniciaste sesión como { $name }.
confirm-elsewhere = Esto se pidió desde una red distinta de la tuya: desde { $there }, y tú estás en { $here }. Si no tienes ese dispositivo delante, elige «Rechazar».
confirm-elsewhere-country = Esto se pidió desde otro país: { $there }. Tú estás aquí: { $here }. Si no tienes ese dispositivo delante, elige «Rechazar».
elsewhere-title = Se pidió desde otro lugar
elsewhere-text = Esto se pidió desde un lugar distinto del tuyo, y quien administra este servicio no lo permite. No se conectó nada. Si tienes el dispositivo delante, usa la misma red para los dos.
confirm-own = Esto lo empecé yo, en un dispositivo que tengo delante
confirm-own-missing = Marca la casilla si esto lo empezaste tú. Si no, elige «Rechazar».
confirm-app-title = ¿Conectar este programa?
confirm-returns = La respuesta va a
confirm-returns-help = Vuelve allí en este navegador.
confirm-app-own = He empezado esto yo, en este navegador
authorize-refused-title = Este enlace no funciona
authorize-refused-client = El programa que le envió aquí no es conocido, o no puede preguntar de esta forma. No se ha conectado nada.
authorize-refused-redirect = El programa quiere recibir la respuesta en una dirección que no está registrada para él. No se ha conectado nada.
authorize-refused-expired = Esta solicitud ha caducado o ya se respondió. Vuelva al programa y empiece allí de nuevo.
confirm-approve = Aprobar
confirm-deny = Rechazar

scope-openid = saber que eres tú
scope-profile = ver tu nombre
scope-email = ver tu dirección de correo electrónico
scope-offline = mantener la conexión hasta que lo desconectes
scope-introspect = comprobar si otras conexiones siguen siendo válidas
scope-admin = administrar este servidor: ver y cambiar todo
scope-devices = conectar y desconectar dispositivos y claves de API en tu nombre
scope-other = usar «{ $scope }»
scopes-none = únicamente saber que aprobaste la solicitud

age-now = hace un momento
age-seconds = { $n ->
    [one] hace { $n } segundo
   *[other] hace { $n } segundos
}
age-minutes = { $n ->
    [one] hace { $n } minuto
   *[other] hace { $n } minutos
}
age-hours = { $n ->
    [one] hace { $n } hora
   *[other] hace { $n } horas
}
unknown = desconocido

approved-title = Dispositivo conectado
approved-text = { $client } se conectó a tu cuenta. Ya puedes volver al dispositivo.
pin-title = Un paso más en el dispositivo
pin-text = Aprobaste esta solicitud: { $client }. Ahora escribe este PIN en el dispositivo: solo entonces se conectará.
pin-label = PIN
pin-help = Dos dígitos, solo para este dispositivo.
pin-warning = Escríbelo tú. Si alguien te lo pide, no se lo digas, y deshaz esto.
denied-title = Solicitud rechazada
denied-text = { $client } no se conectó. No obtuvo nada.
undo-question = ¿No fuiste tú, o fue un error?
undo-button = No fui yo: deshacer
undone-title = Deshecho
undone-text = Se dio marcha atrás: todo lo que salió de esto quedó desconectado y anulado. Si alguien te convenció de hacerlo, avisa a quien administra este servicio.
undo-nothing-title = No hay nada que deshacer
undo-nothing-text = Aquí no hay ninguna aprobación tuya que deshacer.
late-title = Demasiado tarde
late-text = Esta solicitud caducó o alguien ya decidió sobre ella. No se cambió nada. Empieza de nuevo en el dispositivo.
lost-title = Escribe el código otra vez
lost-text = Esta página se abrió antes de que iniciaras sesión. Escribe el código una vez más, por favor.

revoke-title = ¿Desconectar este dispositivo?
revoke-lead = El dispositivo «{ $device }» está conectado a la cuenta { $name }. Desconéctalo si no fuiste tú.
revoke-button = Desconectar
revoke-done-title = Dispositivo desconectado
revoke-ended-title = No hay nada que desconectar
revoke-ended-text = Este enlace ya se usó, se acabó su plazo o el dispositivo ya no está conectado. Tus dispositivos están en tu cuenta.

mail-subject = Nuevo dispositivo: { $device }
mail-hello = Hola, { $name }:
mail-connected = «{ $device }» se conectó a tu cuenta.
mail-was-you = Si fuiste tú, no tienes que hacer nada.
mail-was-not-you = Si no fuiste tú, abre este enlace y desconecta el dispositivo:
mail-from = Este mensaje lo envió { $server }.

account-title = Tus dispositivos
account-lead = Todo lo que has conectado. Desconecta lo que no reconozcas o ya no uses.
account-none = Todavía no hay nada conectado.
account-connect = Conectar un dispositivo
account-connected = Se conectó
account-kind-key = clave de API
account-sign-in-title = Cómo inicias sesión
account-totp-off = Una llave de acceso o una app de autenticación impide que entren otras personas, aunque averigüen tu contraseña.
account-lately = { $client } se conectó a tu cuenta el { $when }, desde { $address }.
undo-one = No fui yo: desconectar { $client }
account-sessions-title = Dónde tienes la sesión iniciada
account-session-own = este navegador
account-session-since = Inicio de sesión
account-session-end = Cerrar esa sesión
account-session-end-one = Cerrar la sesión del navegador que la inició el { $when }
account-session-end-all = Cerrar todas las demás sesiones
account-session-ended = Se cerró la sesión en ese navegador.
account-sessions-ended = Se cerró la sesión en todos los demás navegadores.
account-session-missing = Ese navegador ya no tiene la sesión iniciada.
account-password-title = Cambiar tu contraseña
account-password-new = Contraseña nueva
account-password-help = Al menos 8 caracteres. Se cerrará la sesión en todos los demás navegadores.
account-password-button = Cambiar
account-password-changed = Se cambió tu contraseña.
account-password-unfit = La contraseña debe tener al menos 8 caracteres y como máximo 1024 bytes.
account-linked = Puedes iniciar sesión con { $provider }.
account-link = Iniciar sesión también con { $provider }
account-unlink = Quitar
account-unlink-one = Dejar de iniciar sesión con { $provider }
account-unlinked = Se quitó. Ya no inicias sesión de esa forma.
account-unlink-last = No se cambió nada: sin eso, ya no podrías iniciar sesión.
account-totp-begin = Configurar una app de autenticación
account-totp-on = Tienes una app de autenticación desde el { $when }.
account-recovery-left = { $n ->
    [0] No queda ningún código de recuperación.
    [one] Queda { $n } código de recuperación.
   *[other] Quedan { $n } códigos de recuperación.
}
account-recovery-new = Crear códigos de recuperación nuevos
account-totp-remove = Desactivar la app
account-totp-removed = La app de autenticación está desactivada.
account-passkey-begin = Agregar una llave de acceso
account-kind-passkey = llave de acceso
account-passkey-added = Se agregó
account-passkey-remove = Quitar
account-passkey-remove-one = Quitar la llave de acceso { $name }
account-passkey-removed = Se quitó la llave de acceso. También puedes borrarla en tu dispositivo.
account-rename = Cambiar nombre
account-renamed = El nombre nuevo ya está guardado.
account-online = en línea
account-offline = sin conexión ahora
account-node = Dispositivo
account-endless = cuando la desconectes
account-ends = Termina
account-leaked = La clave «{ $name }» apareció donde no debía y se anuló el { $when }. Si la usaba uno de tus programas, vuelve a conectar ese programa.
account-cli-title = Conectar una línea de comandos
account-cli-text = Si la línea de comandos no puede mostrarte un código, haz que aparezca aquí y escríbelo allí.
account-cli-button = Mostrar un código
account-never = todavía no
account-key-title = Crear una clave de API
account-key-text = Para un programa que configuras a mano. Puede hacer lo mismo que tú en cualquier sitio donde se acepten las claves de API de este servicio.
account-key-name = Nombre
account-key-name-wrong = El nombre debe tener entre 1 y 100 caracteres visibles.
account-key-button = Crear una clave
key-title = Tu nueva clave de API
key-lead = «{ $name }» sirve hasta el { $when }. Solo se muestra esta vez: cópiala ahora.
key-warning = Quien tenga esta clave puede actuar en tu nombre. Nadie del servicio de soporte te la pedirá nunca.
connect-title = Conectar una línea de comandos
connect-lead = Escribe esto en tu línea de comandos:
connect-code = Código
connect-left = El código se puede usar una sola vez. Caduca en
connect-warning = Quien tenga este código obtiene una clave de API para tu cuenta. Escríbelo tú y no se lo des a nadie.
connect-check = Comprobar si se usó
connect-withdraw = Anular este código
connect-used-title = Línea de comandos conectada
connect-used = Tu código se usó el { $when }, desde { $address }. Programa: { $program }.
connect-used-ended = Tu código se usó. La clave que salió de él ya no es válida.
connect-over-title = Este código ya no es válido
connect-over = Ya nadie puede usarlo.
account-used = Último uso
account-from = Desde dónde
account-may = Puede
account-revoke = Desconectar
account-revoke-one = Desconectar { $name }, que se conectó el { $when }
account-revoke-all = Desconectar todo
account-revoke-all-text = Después habrá que volver a conectar cada uno de tus dispositivos.
account-revoked = El dispositivo está desconectado.
account-revoked-all = Todo está desconectado.
account-revoke-missing = Este dispositivo ya no está conectado.
account-ended = Ya no están conectados
status-active = conectado
status-expired = caducado
status-revoked = desconectado

logout-title = ¿Cerrar sesión?
logout-text = Tus dispositivos seguirán conectados.

error-form-title = Eso no funcionó
error-form-text = No se pudo leer el formulario: { $why }.
error-forged-title = Inténtalo de nuevo, por favor
error-forged-text = Esta página estuvo abierta demasiado tiempo, entretanto iniciaste sesión en otra página o tu navegador no guarda cookies. Vuelve atrás, carga la página de nuevo y repite lo que hiciste.
error-limited-title = Demasiados intentos
error-limited-text = { $n ->
    [one] Espera { $n } segundo e inténtalo de nuevo.
   *[other] Espera { $n } segundos e inténtalo de nuevo.
}
error-limited-minutes = { $n ->
    [one] Espera { $n } minuto e inténtalo de nuevo.
   *[other] Espera { $n } minutos e inténtalo de nuevo.
}
error-busy-title = Hay mucha actividad
error-busy-text = Ahora mismo hay demasiadas personas iniciando sesión. Inténtalo de nuevo en un momento.
error-away-title = Un momento
error-away-text = Ahora mismo este servicio no puede acceder a sus datos. Inténtalo de nuevo en un momento.
error-missing-title = Página no encontrada
error-missing-text = Aquí no hay nada. Si tu dispositivo muestra un código, elige «Escribir un código».
error-fault-title = Algo salió mal
error-fault-text = El fallo es nuestro, no tuyo. Inténtalo de nuevo. Si sigue pasando, dile este número a quien administra este servicio: { $id }
